# SPDX-License-Identifier: MPL-2.0
#
# Makes the commented settings file of riposte-broker --print-config: every setting stands there as a comment, with its
# default, and the sections as they are.

1i # Settings of riposte-broker: riposte-broker.cfg(5). Take the # off a setting to change it; with
1c # riposte-broker --check-config --config /etc/riposte/broker.cfg mistakes are shown, all at once.
s/; source: default$//
s/^( *)# ([a-z_]+ = )/\1#\2/
s/^( *)([a-z_]+ = )/\1#\2/
