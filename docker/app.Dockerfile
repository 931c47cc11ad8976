# The image of a service of your own with its tasks. Copy it into your project, as Dockerfile, beside a package.json that has docket
# among its dependencies, a package-lock.json, and a script `build` that writes dist/. Plain JavaScript needs no build: delete that line.
#
#   docker build -t my-worker .
#   docker run --rm --init -e DOCKET_URL=redis://redis:6379 my-worker
FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build
RUN npm prune --omit=dev --no-audit --no-fund

FROM node:26-bookworm-slim
ENV NODE_ENV=production \
    PATH=/app/node_modules/.bin:$PATH \
    DOCKET_TASKS=/app/dist/tasks.js \
    DOCKET_WORKER_HEALTHCHECK_PORT=8080
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
# There is no shell in between, so SIGTERM reaches the worker, which drains.
STOPSIGNAL SIGTERM
# Liveness, not readiness: a worker that waits for Redis is alive, and a restart would not help it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["docket-worker"]
