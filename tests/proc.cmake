# proc/: the pure queues alone, and the real scheduler on host contexts over a heap that can fail.
set(PROC_HOST proc/run_queue.c proc/sleep_queue.c proc/sched.c proc/balance.c proc/thread.c proc/thread_table.c proc/reaper.c
	proc/wait_queue.c proc/mutex.c proc/sched_info.c proc/sched_check.c
	tests/host/sched_port.c tests/host/heap_shim.c)
set(PROC_WORKLOADS proc/message_queue.c proc/workload.c proc/workload_pair.c proc/workload_churn.c proc/workload_mixed.c
	proc/workload_lives.c proc/workload_hog.c)

foreach(module run_queue sleep_queue)
	quire_host_test(test_${module} SOURCES tests/unit/test_${module}.c proc/${module}.c)
endforeach()
foreach(module sched thread wait_queue mutex sched_check)
	quire_host_test(test_${module} SOURCES tests/unit/test_${module}.c ${PROC_HOST})
endforeach()
foreach(module message_queue workload)
	quire_host_test(test_${module} SOURCES tests/unit/test_${module}.c ${PROC_WORKLOADS} ${PROC_HOST})
endforeach()
quire_host_test(model_sched SOURCES tests/model/model_sched.c ${PROC_HOST} TIMEOUT 300)
