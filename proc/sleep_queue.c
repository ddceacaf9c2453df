/* SPDX-License-Identifier: MIT */
/*
 * The sleep queue: a pairing heap by wake time, its nodes inside the threads.
 *
 *   root   3                     child: the first of a node's children
 *          |                     sibling: the next child of the same parent
 *          7 -- 5 -- 9           previous: the sibling before, or, for a first
 *               |                          child, the parent; NULL at the root
 *               8
 *
 * add is O(1), the earliest is the root, removing any node is O(log n)
 * amortised. No recursion and no allocation: kernel stacks are small and a
 * thread must be able to go to sleep when memory is out.
 *
 * Invariant: wake_ns of a node <= wake_ns of each of its children; count = nodes reachable from
 * root. Lock: the caller's (sched.lock).
 */
#include "sched_internal.h"

void sleep_queue_init(struct sleep_queue *q)
{
	q->root = NULL;
	q->count = 0;
}

/* Two heaps, one of them perhaps empty, become one: the later root goes under the earlier. */
static struct sleep_node *merge(struct sleep_node *a, struct sleep_node *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->wake_ns < a->wake_ns) {
		struct sleep_node *earlier = b;

		b = a;
		a = earlier;
	}
	b->sibling = a->child;
	if (b->sibling)
		b->sibling->previous = b;
	b->previous = a;
	a->child = b;
	return a;
}

/* Cut the head off a list of siblings; it becomes a heap of its own. */
static struct sleep_node *cut_first(struct sleep_node **list)
{
	struct sleep_node *node = *list;

	if (node) {
		*list = node->sibling;
		node->sibling = NULL;
		node->previous = NULL;
	}
	return node;
}

/*
 * The children of a removed node become one heap, in the two passes that give the amortised
 * bound: merge pairs from left to right, stacking the results, then merge those from the right.
 */
static struct sleep_node *merge_children(struct sleep_node *first)
{
	struct sleep_node *pairs = NULL, *heap = NULL;

	while (first) {
		struct sleep_node *a = cut_first(&first);
		struct sleep_node *pair = merge(a, cut_first(&first));

		pair->sibling = pairs;
		pairs = pair;
	}
	while (pairs)
		heap = merge(heap, cut_first(&pairs));
	return heap;
}

void sleep_queue_add(struct sleep_queue *q, struct sleep_node *node)
{
	node->child = NULL;
	node->sibling = NULL;
	node->previous = NULL;
	q->root = merge(q->root, node);
	q->count++;
}

/* Take a node that is not the root out of its parent's children. */
static void detach(struct sleep_node *node)
{
	struct sleep_node *previous = node->previous;

	if (previous->child == node)
		previous->child = node->sibling;
	else
		previous->sibling = node->sibling;
	if (node->sibling)
		node->sibling->previous = previous;
}

void sleep_queue_remove(struct sleep_queue *q, struct sleep_node *node)
{
	struct sleep_node *rest = merge_children(node->child);

	assert(q->count > 0 && (node == q->root || node->previous));
	if (node == q->root) {
		q->root = rest;
	} else {
		detach(node);
		q->root = merge(q->root, rest);
	}
	node->child = NULL;
	node->sibling = NULL;
	node->previous = NULL;
	q->count--;
}

/* The node after `node` in preorder, without a stack: down, else right, else up and right. */
static const struct sleep_node *next_in_preorder(const struct sleep_node *node)
{
	if (node->child)
		return node->child;
	while (node && !node->sibling) {
		while (node->previous && node->previous->child != node)
			node = node->previous; /* left, to the first child */
		node = node->previous;         /* up, to the parent */
	}
	return node ? node->sibling : NULL;
}

const char *sleep_queue_check(const struct sleep_queue *q)
{
	uint64_t n = 0;

	if (q->root && (q->root->previous || q->root->sibling))
		return "sleep queue: the root has a parent or a sibling";
	for (const struct sleep_node *node = q->root; node; node = next_in_preorder(node)) {
		if (++n > q->count)
			return "sleep queue: more nodes than counted";
		if (node->child && node->child->previous != node)
			return "sleep queue: a first child does not point to its parent";
		if (node->sibling && node->sibling->previous != node)
			return "sleep queue: a sibling does not point back";
		for (const struct sleep_node *c = node->child; c; c = c->sibling)
			if (c->wake_ns < node->wake_ns)
				return "sleep queue: a child wakes before its parent";
	}
	return n == q->count ? NULL : "sleep queue: fewer nodes than counted";
}
