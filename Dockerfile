# One image for every role; the command names it: `ingot cache`, `ingot scheduler`, `ingot worker`.
# Not built in CI (no engine there): the commands in docker-compose.yml are tested as plain processes instead.
FROM debian:12-slim

# bubblewrap and util-linux (setpriv) are the worker's sandbox; g++, make and python3 are what its actions find.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates nodejs npm bubblewrap util-linux g++ make python3 python3-pip \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/ingot
COPY package.json package-lock.json .npmrc ./
COPY proto ./proto
RUN npm ci --omit=dev && npm cache clean --force
COPY core ./core
COPY cache ./cache
COPY scheduler ./scheduler
COPY worker ./worker
COPY cli ./cli
COPY examples ./examples
RUN ln -s /opt/ingot/cli/ingot.js /usr/local/bin/ingot

ENV INGOT_DATA=/data
VOLUME /data
ENTRYPOINT ["ingot"]
# Anonymous callers, since a container has no loopback to be called on: publish its ports with care, or give it tokens.
CMD ["up", "--grpc", "0.0.0.0:8980", "--http", "0.0.0.0:8981", "--allow-anonymous", "true"]
