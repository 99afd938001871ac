/* SPDX-License-Identifier: Apache-2.0 */
/* Variants of the user.* getters. */
#ifndef FALCO_FIELD_USER_H
#define FALCO_FIELD_USER_H

#include "field.h"
#include "state.h"

/* Variants of get_user_text. */
enum user_text { USER_NAME, USER_HOME, USER_SHELL, USER_LOGIN_NAME };
#endif
