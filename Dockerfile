# One image for every stage, from the lock. Two parts: `packages` (the SIF of clusters is made of it: it changes with this file
# and the lock alone) and, on top of it, `forecast` with the workflow's code (Compose mounts the working folder over that).
#   BASE         Debian 12, or any base with apt and Python 3.11 or later: with a CUDA base, leave wheels/ empty
#   TORCH_INDEX  an index whose build of torch is preferred, such as one of CPU builds; a wheel in wheels/ comes before it
# Secrets of the build, in no layer: `ca` (certificates of a proxy) and `pip` (a pip.conf with your own index).
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS packages

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates libgomp1 python3 python3-venv rsync \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*.log /var/log/apt /var/lib/dpkg/*-old \
    && python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "the base image has Python " + sys.version.split()[0] + "; give another BASE: 3.11 or later is needed")' \
    && python3 -m venv /opt/forecast
# a job's environment is kept out of its container, and with it Snakemake's limit: libraries would take every core for each
# job (torch is told its threads by the script)
ENV PATH=/opt/forecast/bin:$PATH \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# bytecode is checked against nothing: else it would hold the time of the build (torch has a file for Python 3.12 alone)
ARG TORCH_INDEX=
RUN --mount=type=bind,source=envs,target=/build/envs \
    --mount=type=bind,source=wheels,target=/build/wheels \
    --mount=type=secret,id=ca,target=/run/ca.crt \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    if [ -s /run/ca.crt ]; then export PIP_CERT=/run/ca.crt; fi \
    && export PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=no PIP_FIND_LINKS=/build/wheels PIP_EXTRA_INDEX_URL=$TORCH_INDEX \
    && /build/envs/install.sh python \
    && pip --disable-pip-version-check install --quiet --require-hashes --no-deps -r /build/envs/cluster.txt \
    && find /opt/forecast -name __pycache__ -prune -exec rm -rf {} + \
    && python -m compileall -q -j0 -x '/py312_' --invalidation-mode unchecked-hash /opt/forecast/lib

FROM packages AS forecast
LABEL org.opencontainers.image.title="crypto-forecast" \
      org.opencontainers.image.description="Forecasts crypto prices, decides whether to trade on them, and audits the decision" \
      org.opencontainers.image.licenses="MIT"

# some bases have a user 1000 of their own
RUN if getent passwd 1000 >/dev/null; then userdel --remove "$(id -nu 1000)"; fi \
    && useradd --create-home --uid 1000 forecast \
    && chage --lastday 1 forecast \
    && install -d -o forecast -g forecast /workspace
COPY docker/entrypoint.sh /usr/local/bin/
ENV SKIP_VENV=1
USER forecast
WORKDIR /workspace
COPY --chown=forecast:forecast Dockerfile Makefile Snakefile exec.sh ./
COPY --chown=forecast:forecast config config
COPY --chown=forecast:forecast docker docker
COPY --chown=forecast:forecast envs envs
COPY --chown=forecast:forecast profiles profiles
COPY --chown=forecast:forecast rules rules
COPY --chown=forecast:forecast scripts scripts
ENTRYPOINT ["entrypoint.sh"]
HEALTHCHECK --interval=10m --timeout=2m \
    CMD ["python", "-c", "import importlib, pathlib, sys; sys.path.insert(0, 'scripts'); [importlib.import_module(path.stem) for path in sorted(pathlib.Path('scripts').glob('*.py'))]"]
