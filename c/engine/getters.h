/* SPDX-License-Identifier: Apache-2.0 */
/* Declares the getter and the check of every row of fields.def. What each of them answers is the row's doc. */
#ifndef FALCO_GETTERS_H
#define FALCO_GETTERS_H

#include "field.h"

#define FIELD(name, class, type, format, scope, arg, flags, getter, check, variant, doc) \
	int getter(const struct field_ctx *c, struct value *v);
#define FIELD_CHECK(check) int check(struct field_arg *arg, struct value *type, struct err *err);
#include "fields.def"

#endif
