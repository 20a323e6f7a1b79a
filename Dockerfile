# openfm: Factorization Machines on the SageMaker contract. `train` and `serve` are programs on PATH; any other command
# runs as it is given.

FROM debian:trixie-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ python3-dev python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml CMakeLists.txt README.md LICENSE ./
COPY src src
RUN pip wheel --no-cache-dir --wheel-dir /wheels '.[serve,tables,hosts]'
# The environment is made at the path where it will stay. It keeps its pip: SageMaker's SDK v3 and derived images use
# it. The test suites of numpy and scipy go: they are a seventh of the image; and of pyarrow, which reads Parquet, what
# talks to others' services and its headers: they are a third of it.
RUN python3 -m venv /opt/openfm \
    && /opt/openfm/bin/pip install --no-cache-dir --no-index --find-links /wheels 'openfm[serve,tables,hosts]' \
    && find /opt/openfm/lib/python3*/site-packages/numpy /opt/openfm/lib/python3*/site-packages/scipy \
        -type d -name tests -prune -exec rm -rf {} + \
    && cd /opt/openfm/lib/python3*/site-packages/pyarrow \
    && rm -rf include includes src tests libarrow_flight* _flight* libarrow_s3* _s3fs* \
    && /opt/openfm/bin/python3 -I -c 'import pyarrow.parquet'
# Whatever the modes in the checkout, any user can run and read these.
COPY container container
RUN install -D -m 755 -t /image/usr/local/bin container/train container/serve \
    && install -D -m 644 -t /image/etc/openfm container/gunicorn.conf.py

FROM debian:trixie-slim
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
      com.amazonaws.sagemaker.capabilities.multi-models=true \
      org.opencontainers.image.title="openfm" \
      org.opencontainers.image.description="Amazon SageMaker's Factorization Machines algorithm as an open, local container" \
      org.opencontainers.image.licenses="Apache-2.0"
# Any user may write below /opt/ml; models/ is where multi-model endpoints have theirs. /opt/ml/checkpoints is not made: a
# job saves checkpoints when someone mounts it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
    && mkdir -p -m 0777 /opt/ml/input /opt/ml/model /opt/ml/models /opt/ml/output
COPY --from=build /opt/openfm /opt/openfm
COPY --from=build /image /
ENV PATH=/opt/openfm/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENFM_BIND=0.0.0.0 \
    OPENFM_GUNICORN_CONF=/etc/openfm/gunicorn.conf.py
EXPOSE 8080
# No USER: SageMaker and its Local Mode need root. No ENTRYPOINT: the command is the program, and it gets the signals.
CMD ["train"]
