"""Gunicorn's settings that only the image needs, on top of those of openfm.serving.server.

The image names this file in OPENFM_GUNICORN_CONF. To change any setting of gunicorn (an access log,
say: ``accesslog = "-"``), mount a file of your own over it:
https://docs.gunicorn.org/en/stable/settings.html
"""

import os

# Workers prove that they live by touching a file, which a container's disk can delay for longer
# than the timeout. /dev/shm is memory, but it may be missing or read-only.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
