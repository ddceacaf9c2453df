/* SPDX-License-Identifier: MIT */
/*
 * Intrusive circular doubly linked list. The head is a node that stands in no
 * object. A node in no list points to itself, so that list_remove() is
 * harmless when repeated and list_is_empty(node) answers "is it queued?".
 */
#ifndef QUIRE_LIST_H
#define QUIRE_LIST_H

#include <quire/compiler.h>
#include <stdbool.h>

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_after(struct list *at, struct list *node)
{
	node->prev = at;
	node->next = at->next;
	at->next->prev = node;
	at->next = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
	list_insert_after(head, node);
}

static inline void list_push_back(struct list *head, struct list *node)
{
	list_insert_after(head->prev, node);
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* The first node, or NULL. */
static inline struct list *list_first(const struct list *head)
{
	return list_is_empty(head) ? NULL : head->next;
}

#define list_entry(node, type, member) container_of(node, type, member)

/* Walk the nodes; `next` lets the body remove `node`. */
#define list_for_each_safe(node, nxt, head)                                                        \
	for (struct list *node = (head)->next, *nxt = node->next; node != (head);                  \
	     node = nxt, nxt = node->next)

#define list_for_each(node, head)                                                                  \
	for (struct list *node = (head)->next; node != (head); node = node->next)

#endif
