# Firmware maps through all of it: region code, plan, core/memory.c, page allocator. After kmalloc.cmake.
set(CHAIN_UNDER_TEST ${KMALLOC_UNDER_TEST} alloc/memmap.c alloc/boot_pool.c tests/host/map_chain.c)
list(REMOVE_ITEM CHAIN_UNDER_TEST tests/host/pages.c)
quire_host_test(model_bad_maps SOURCES tests/model/model_bad_maps.c ${CHAIN_UNDER_TEST} LABELS model TIMEOUT 300)
quire_host_test(test_bad_maps SOURCES tests/unit/test_bad_maps.c tests/host/firmware.c efi/console.c efi/memory.c efi/map.c efi/spoil.c
	efi/place.c efi/text.c core/lib/utf8.c ${CHAIN_UNDER_TEST}
	FLAGS -fshort-wchar -Wno-format -DGNU_EFI_USE_MS_ABI -isystem/usr/include/efi -isystem/usr/include/efi/${QUIRE_ARCH})
