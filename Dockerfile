# SPDX-License-Identifier: MPL-2.0
#
# The broker, the programs and the example worker `site`: docker build -t riposte .
# Where no registry can be reached, script/base-image makes the base image first.

FROM debian:bookworm-slim AS build
RUN apt-get update -q \
 && apt-get install -q -y --no-install-recommends \
        gcc libc6-dev cmake ninja-build pkg-config libzmq3-dev libjansson-dev libmd-dev \
        libmicrohttpd-dev libcurl4-openssl-dev libsqlite3-dev libpq-dev \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
WORKDIR /source
COPY . .
RUN script/build /build -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_LIBDIR=lib \
        -DRIPOSTE_TESTS=OFF -DRIPOSTE_BENCH=OFF \
 && script/image-tree /build /image

FROM debian:bookworm-slim
RUN apt-get update -q \
 && apt-get install -q -y --no-install-recommends libzmq5 libjansson4 libmd0 libmicrohttpd12 libcurl4 \
        libsqlite3-0 libpq5 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /var/cache/apt/*.bin /var/log/*
COPY --from=build /image /
# A number, so that the user can be seen not to be root. Nothing is written, not even in /tmp, but keys: /etc/riposte
# and what is in /keys are its own, and so are the volumes that begin there.
RUN ldconfig \
 && install -d -m 700 -o 65532 -g 65532 /etc/riposte /keys/broker /keys/site /keys/upper /keys/client /keys/http \
        /keys/prometheus /keys/database
USER 65532:65532
# Other containers reach that address, so the broker wants a key (RIPOSTE_SECURITY_KEY_FILE and _RULES).
ENV RIPOSTE_BIND=tcp://0.0.0.0:5555
EXPOSE 5555
# Of the broker in this container; with RIPOSTE_SERVER, of the one that is named there.
HEALTHCHECK --interval=10s --timeout=5s --retries=2 CMD ["riposte", "ping", "--quiet"]
CMD ["riposte-broker"]
