# One image for every stage, from the lock. The code is mounted at /workspace, not copied: Snakemake runs it from there.
ARG BASE=debian:bookworm-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/forecast
ENV PATH=/opt/forecast/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1

# torch first: it is the largest layer and changes least
COPY envs/torch.txt /opt/envs/
RUN pip install --no-cache-dir --require-hashes --no-deps -r /opt/envs/torch.txt
COPY envs/requirements.txt /opt/envs/
RUN pip install --no-cache-dir --require-hashes --no-deps -r /opt/envs/requirements.txt \
    && pip install --no-cache-dir torch==2.13.0

COPY docker/entrypoint.sh /usr/local/bin/entrypoint.sh
RUN useradd --create-home forecast
USER forecast
WORKDIR /workspace
ENTRYPOINT ["entrypoint.sh"]
CMD ["bash"]
