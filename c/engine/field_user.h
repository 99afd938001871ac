/* SPDX-License-Identifier: Apache-2.0 */
/* Variants of the user.* getters, and what fields need to know of containers. */
#ifndef FALCO_FIELD_USER_H
#define FALCO_FIELD_USER_H

#include "field.h"
#include "state.h"

/* Variants of get_user_text. */
enum user_text { USER_NAME, USER_HOME, USER_SHELL, USER_LOGIN_NAME };

/* Id of the container that a thread runs in; empty: nobody tells. */
struct str thread_container(const struct evt *e, const struct thread *t);

#endif
