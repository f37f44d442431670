# One image for both roles: RANDSTREAM_ROLE=producer or worker decides. Simple enough for the classic builder.
# Its base is one image, whatever the tag will mean (here: Python 3.13.15); where no registry can be reached, another is
# given: --build-arg PYTHON_IMAGE=python:3.13-slim-trixie.
ARG PYTHON_IMAGE=python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

FROM ${PYTHON_IMAGE} AS build
# `make clean` finds this stage's leftovers by this label.
LABEL io.randstream.stage=build
# Where packages come from, if not from the usual index.
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
ENV VIRTUAL_ENV=/opt/randstream UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
WORKDIR /build
# For the speed-ups; it stays in this stage.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
COPY requirements/image.txt requirements/
RUN python -m venv --without-pip "$VIRTUAL_ENV" \
 && python -m venv /opt/tools \
 && /opt/tools/bin/pip install --quiet --no-cache-dir --no-deps --require-hashes -r requirements/image.txt
ENV PATH=/opt/tools/bin:$PATH
COPY requirements/runtime.txt requirements/
RUN uv pip install --require-hashes -r requirements/runtime.txt
COPY LICENSE hatch_build.py pyproject.toml ./
COPY src src
# The README only describes the package on an index. Left out, it does not change the image.
RUN touch README.md \
 && hatchling build --target wheel \
 && uv pip install --no-deps dist/*.whl

FROM ${PYTHON_IMAGE} AS runtime
LABEL org.opencontainers.image.title="randstream" \
      org.opencontainers.image.description="Endless, exactly reproducible streams of random numbers over one long-lived TCP connection a worker." \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/randstream /opt/randstream
# Nothing is installed and nobody changes users here, so pip goes (from both places where images keep it), and so do the
# setuid bits. The run compiles the standard library modules it imports, because nothing can be written later.
RUN rm -rf /usr/local/lib/python3.*/site-packages/pip* /usr/lib/python3/dist-packages/pip* /usr/local/bin/pip* /usr/bin/pip* \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && /opt/randstream/bin/python -m randstream numbers --seed 42 --worker worker-0
# PYTHONSAFEPATH: nothing is imported that somebody has put into /tmp.
ENV PATH=/opt/randstream/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /tmp
EXPOSE 9000 9001
ENTRYPOINT ["python", "-m", "randstream"]

# docker build --target test: the suite on the image's Python.
FROM build AS test
COPY requirements/dev.txt requirements/
RUN uv pip install --require-hashes -r requirements/dev.txt
COPY . .
RUN /opt/randstream/bin/python -m pytest -n 2 -p no:cacheprovider

# The result of a build without --target. (The classic builder then runs the tests first: `make build` names its target.)
FROM runtime
