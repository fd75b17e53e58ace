# Images are named by what they hold, so that a build today is one of tomorrow: ./scripts/pin-images renews them.
FROM rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS build
WORKDIR /src
COPY . .
# The caches outlive the build but are not part of the image, so the binary is taken out of them, without its
# line tables, which are three quarters of it. Functions keep their names in backtraces.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin registrar \
    && objcopy --strip-debug target/release/registrar /usr/local/bin/registrar

FROM debian:bookworm-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251
LABEL org.opencontainers.image.title="Registrar" \
      org.opencontainers.image.description="A directory of admins, organizations, groups and users in which every change is an event" \
      org.opencontainers.image.licenses="Apache-2.0"

# The builder's certificates, for telemetry over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/registrar /usr/local/bin/registrar

# The number is fixed so that the owner of a volume stays the same and an orchestrator can see that
# it is not root.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin registrar \
    && install -d -o registrar -g registrar -m 0700 /data
USER 10001:10001
WORKDIR /data
VOLUME /data

# Which ports of the machine lead here, and what stands before them, is decided where the container is run. TLS of its own:
# REGISTRAR_TLS_CERT and REGISTRAR_TLS_KEY.
ENV REGISTRAR_LISTEN=0.0.0.0:8080 \
    REGISTRAR_ALLOW_CLEAR_TEXT=listen \
    REGISTRAR_DATA=/data
EXPOSE 8080

# It asks whether the process lives, over TLS where the server speaks it, not whether it is ready: a
# container does not get better by being restarted while its database is away.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["registrar", "health"]

ENTRYPOINT ["registrar"]
CMD ["serve"]
