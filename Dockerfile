# The one image: the webhook, the node's agent and installer, and the driver's bundle.
#
#   BASE         what the programs run on. It needs Python 3.11 or newer with venv, and nsenter.
#   BUNDLE_BASE  what the bundle is built on: its glibc is the oldest that a node may have.
#
# Every package is pinned with its hash in the lock files. Pin the bases too: NAME@sha256:DIGEST.

ARG BASE=python:3.12-slim-bookworm
ARG BUNDLE_BASE=python:3.12-slim-bullseye

FROM ${BUNDLE_BASE} AS bundle
WORKDIR /src
COPY requirements-bundle.lock ./
RUN python3 -m venv /venv && /venv/bin/pip install -q --no-cache-dir --require-hashes -r requirements-bundle.lock
COPY flexvol flexvol
RUN /venv/bin/python -m flexvol.bundle /bundle

FROM ${BASE} AS packages
WORKDIR /src
COPY requirements.lock ./
RUN python3 -m venv /pip && python3 -m venv --without-pip /opt/venv \
 && /pip/bin/pip --python /opt/venv/bin/python install -q --no-cache-dir --require-hashes -r requirements.lock
COPY webhook webhook
COPY flexvol flexvol
COPY certs certs
COPY cluster cluster
RUN cp -r webhook flexvol certs cluster \
      "$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 # The Kubernetes client's asyncio half is the largest thing here, and nothing uses it.
 && find /opt/venv \( -name tests -o -path '*/kubernetes/aio' \) -type d -prune -exec rm -r {} + \
 && /opt/venv/bin/python -m compileall -q /opt/venv

FROM ${BASE}
COPY --from=packages /opt/venv /opt/venv
COPY --from=bundle /bundle /usr/lib/dind/bundle
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["python", "-m"]
CMD ["webhook", "serve"]
