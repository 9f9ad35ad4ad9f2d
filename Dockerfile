# One image for every stage, from the lock. The code is mounted at /workspace, not copied: Snakemake runs it from there.
ARG BASE=debian:bookworm-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/forecast
ENV PATH=/opt/forecast/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1

# a torch wheel in wheels/ is taken before the index's
COPY envs/requirements.txt envs/torch.txt envs/install.sh wheel[s] /opt/envs/
RUN PIP_NO_CACHE_DIR=1 PIP_FIND_LINKS=/opt/envs /opt/envs/install.sh python

COPY docker/entrypoint.sh /usr/local/bin/entrypoint.sh
RUN useradd --create-home forecast
USER forecast
WORKDIR /workspace
ENTRYPOINT ["entrypoint.sh"]
CMD ["bash"]
