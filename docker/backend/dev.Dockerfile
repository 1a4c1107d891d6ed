# The backend's image for development: its dependencies, and the source from a mount at /src, served anew when it changes.
# `invoke dev.up` builds it on the image of docker/backend/Dockerfile.
ARG BACKEND
FROM ${BACKEND}
USER root
# A mount that is missing is an error, and never the copy of the source that the image was made with.
RUN rm -r /opt/ktrdr/lib/python3*/site-packages/ktrdr_backend
USER ktrdr
# What every `python -m uvicorn` reads, the workers' too.
ENV PYTHONPATH=/src UVICORN_RELOAD=true UVICORN_RELOAD_DIRS=/src UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN=2 KTRDR_VERSION=dev
CMD ["python", "-m", "uvicorn", "--factory", "ktrdr_backend.__main__:application", "--host", "0.0.0.0", "--port", "8000", "--no-access-log"]
