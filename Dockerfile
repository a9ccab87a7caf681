# The metric store as an image: docs/operations/container.md says how to run it.
#   docker build -t cc-metric-store .
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Both tools go along: checkpoint-export is needed on the way back to the reference.
RUN cargo build --release --locked -p io -p tools --bin cc-metric-store --bin checkpoint-export --bin checkpoint-reader

FROM debian:bookworm-slim
# curl: the health check. ca-certificates: an https backend and NATS over TLS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 8082 cc-metric-store \
    && useradd --system --uid 8082 --gid 8082 --home-dir /var/lib/cc-metric-store --shell /usr/sbin/nologin cc-metric-store \
    && install -d -o 8082 -g 8082 -m 0750 /var/lib/cc-metric-store \
    && install -d -m 0755 /etc/cc-metric-store
COPY --from=build /src/target/release/cc-metric-store /src/target/release/checkpoint-export /src/target/release/checkpoint-reader /usr/bin/
COPY configs/examples/container.json /etc/cc-metric-store/config.json
# By number, so that Kubernetes can see that it is not root.
USER 8082:8082
# ./var/checkpoints and ./var/wal are below it.
WORKDIR /var/lib/cc-metric-store
VOLUME /var/lib/cc-metric-store
EXPOSE 8082
# Any answer will do, also the 401 of a daemon that wants tokens: what is asked is whether it is alive. With TLS: HEALTH_URL=https://…
ENV HEALTH_URL=http://127.0.0.1:8082/ping
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m --retries=3 \
    CMD curl --silent --insecure --output /dev/null --max-time 4 "$HEALTH_URL"
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/cc-metric-store"]
CMD ["-config", "/etc/cc-metric-store/config.json", "-loglevel", "info"]
