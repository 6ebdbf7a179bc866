/*  The version of this project, and the day on which it was or will be released. CMakeLists.txt and scripts read
    them from here.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_VERSION_H
#define RP_VERSION_H

#define RP_VERSION "0.1.0"
#define RP_VERSION_DATE "2026-11-28"

#endif
