/* SPDX-License-Identifier: Apache-2.0 */
/* Constants on the right side of comparisons: which kind of value a field's type takes, and reading one from text. */
#ifndef FALCO_OPERAND_H
#define FALCO_OPERAND_H

#include "field.h"
#include "match.h"

/* What comparisons of a type work on. */
enum value_class {
	CLASS_NONE,			/* cannot be compared, only tested for presence */
	CLASS_TEXT, CLASS_BYTES, CLASS_SIGNED, CLASS_UNSIGNED, CLASS_DOUBLE, CLASS_BOOL, CLASS_ADDR, CLASS_NET,
	CLASS_COUNT
};

struct operand {
	struct str s;			/* TEXT, BYTES, ADDR (4 or 16 bytes) */
	union {
		uint64_t u;
		int64_t i;
		double d;
	} num;				/* as in struct value */
	struct net net;
};

enum value_class type_class(uint8_t type);
const char *class_words(enum value_class c);		/* "text", "a number" */
/* The integer that a constant read for type `from` is when its bytes are looked at as type `to`. */
uint64_t operand_recast(uint64_t u, uint8_t from, uint8_t to);

/* Reads `text` for a value of this type. `hex`: the text is hexadecimal and stands for bytes. Bytes are put into `a`
 * when they do not stand in `text` itself. 0, -EINVAL with a message that does not name the field, -ENOMEM. */
int operand_parse(struct operand *o, uint8_t type, bool hex, struct str text, struct arena *a, struct err *err);

/* A constant of evt.type: 0, or -EINVAL and the reason. */
int event_name_check(struct str name, struct err *err);

/* Text for a message: quoted, cut, unprintable bytes as dots. */
struct quoted {
	char text[72];
};
struct quoted quote(struct str s);

#endif
