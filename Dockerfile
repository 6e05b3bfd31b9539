# syntax=docker/dockerfile:1
# glibc, not musl: onnxruntime-node is a native addon built against it.
ARG NODE_IMAGE=node:24-bookworm-slim
# `yes` adds oneDNN, for models in bfloat16 and int8 (x86-64 alone).
ARG ONEDNN=no

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The secret is optional: a user's npm configuration, for a registry mirror or its credentials.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc,required=false npm ci --no-workspaces --no-progress
COPY scripts scripts
COPY src src
ARG ONEDNN
# ONNX Runtime for this platform alone.
RUN node scripts/build-server.mjs && node scripts/build-console.mjs \
 && node scripts/bundle-onnxruntime.mjs "linux-$(node -p process.arch)" \
 && rm dist/*.map dist/.chunks && node scripts/sbom.mjs "--onednn=$ONEDNN" > dist/sbom.cdx.json

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without TensorFlow.js, which is optional and serves only where it is chosen as the engine.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc,required=false npm ci --no-workspaces --omit=dev --no-progress
# Half of what is installed is only for development, packages' own tests included; koffi also has parts of its source, and
# a build for musl.
RUN find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete \
 && rm -rf node_modules/*/test node_modules/@*/*/test node_modules/@koromix/*/musl_* node_modules/koffi/doc \
      node_modules/koffi/lib node_modules/koffi/vendor

# The library, and koffi to try it with.
FROM dependencies AS onednn
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 python3 python3-pip && rm -rf /var/lib/apt/lists/*
COPY scripts/setup-onednn.mjs scripts/setup-steps.mjs scripts/onednn-wheel.mjs scripts/
# The secret is optional, as above: pip's configuration.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false node scripts/setup-onednn.mjs --to /opt/onednn

FROM ${NODE_IMAGE} AS onednn-yes
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=onednn /opt/onednn /opt/onednn
ENV MULTIGATE_ONEDNN=/opt/onednn/libdnnl.so.3

FROM ${NODE_IMAGE} AS onednn-no

# The default again: buildah 1.28 does not know the one above when it chooses the stages to build.
# hadolint ignore=DL3006
FROM onednn-${ONEDNN:-no}
ARG NODE_IMAGE
# Known to who builds: the version, the commit, and when.
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="multigate" \
      org.opencontainers.image.description="Online inference for multi-task ranking models" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="docker.io/library/${NODE_IMAGE}"
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=2 \
    MULTIGATE_HOST=0.0.0.0 \
    MULTIGATE_PORT=3000 \
    MULTIGATE_MODELS=/models \
    MULTIGATE_CACHE=/var/cache/multigate
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE NOTICE ./
# The bill of materials, where scanners look for it.
RUN mv dist/sbom.cdx.json sbom.cdx.json
COPY models /models
# Mount a volume here, and a restarted container need not compile again.
RUN mkdir /var/cache/multigate && chown 1000:1000 /var/cache/multigate
# By number (the image's `node`), so that Kubernetes can tell that it is not root.
USER 1000:1000
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.MULTIGATE_PORT}/readyz`).then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=16", "dist/main.js"]
