/*  The version of this project. CMakeLists.txt reads it from here.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_VERSION_H
#define RP_VERSION_H

#define RP_VERSION "0.1.0"

#endif
