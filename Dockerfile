# The host platform in a container; results go to the folder that is mounted:
#   docker build -t xsched-runner .
#   docker run --rm -it --shm-size=2g -v "$PWD/outputs:/runs/outputs" xsched-runner task_set=smoke
FROM python:3.11-slim
COPY . /source
# By default pip takes PyTorch with CUDA, which is large; TORCH_INDEX may name an index of CPU builds.
ARG TORCH_INDEX=
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} '/source[ui]'
WORKDIR /runs
ENTRYPOINT ["python", "-m", "runner"]
