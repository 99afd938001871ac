/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the C core. The front end installs one sink (level names as in falco.yaml); without one they go to
 * stderr. Never called per event.
 */
#ifndef FALCO_LOG_H
#define FALCO_LOG_H

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

void log_set_level(int level);
__attribute__((format(printf, 2, 3))) void log_msg(int level, const char *fmt, ...);

#endif
