# The image of rlrecipe: one non-root user, one writable place (/runs). docs/docker.md says how to use it.
# Any image with Python 3.11-3.13 and its venv module can be the base.
ARG BASE=python:3.12-slim
FROM ${BASE}

# System packages beyond the base, for example "g++" (compiled updates) or "libgl1 libglib2.0-0" (atari).
ARG APT=""
RUN if [ -n "$APT" ]; then \
        apt-get update \
        && apt-get install -y --no-install-recommends $APT \
        && rm -rf /var/lib/apt/lists/*; \
    fi

# A number, so that it can be checked from outside that it is not root; it may exist in the base.
ARG UID=1000
RUN groupadd --non-unique --gid "$UID" rlrecipe \
    && useradd --non-unique --uid "$UID" --gid "$UID" --home-dir /runs --no-create-home \
        --shell /usr/sbin/nologin rlrecipe \
    && install -d -m 1777 -o "$UID" -g "$UID" /runs

RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1
# A volume mounted at /runs starts empty, so Python makes the folder for temporary files (TMPDIR, below) as it starts:
# that needs neither a shell nor a start script.
RUN printf '%s\n' \
        'import os; os.access("/runs", os.W_OK) and os.makedirs(os.environ.get("TMPDIR", "/runs"), exist_ok=True)' \
        > "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tmpdir.pth"

# Arguments, not ENV: they are for the build only.
ARG PIP_NO_CACHE_DIR=1
ARG PIP_DISABLE_PIP_VERSION_CHECK=1

# The layers from the largest and steadiest to the smallest and liveliest: torch, the other dependencies, the package.
# TORCH_INDEX chooses the build of torch (CPU here); empty leaves the choice to pip's own configuration.
ARG TORCH="torch>=2.13"
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH"

# The dependencies hang on pyproject.toml alone: an empty package stands in for the real one.
ARG EXTRAS=recipes
COPY pyproject.toml /src/
RUN cd /src \
    && mkdir -p rlrecipe recipes \
    && touch README.md rlrecipe/__init__.py \
    && pip install ".${EXTRAS:+[$EXTRAS]}" \
    && rm -rf /src

COPY . /src/
RUN pip install --no-deps --force-reinstall /src \
    && rm -rf /src

# Whatever is written is written under /runs, so the root may be read-only.
ENV HOME=/runs \
    USER=rlrecipe \
    TMPDIR=/runs/.cache/tmp \
    XDG_CACHE_HOME=/runs/.cache \
    XDG_CONFIG_HOME=/runs/.cache/config \
    MPLCONFIGDIR=/runs/.cache/matplotlib \
    TORCHINDUCTOR_CACHE_DIR=/runs/.cache/torchinductor \
    TRITON_CACHE_DIR=/runs/.cache/triton

VOLUME /runs
WORKDIR /runs
USER ${UID}:${UID}
# The process itself, no shell before it: SIGTERM (docker stop) arrives and it writes a checkpoint.
STOPSIGNAL SIGTERM
ENTRYPOINT ["rlrecipe"]
CMD ["--help"]
