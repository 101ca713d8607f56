# PostgreSQL with kursaha_cohort, preloaded:
#
#   docker build --build-arg PG_MAJOR=15 -t kursaha_cohort .
#   docker run -e POSTGRES_PASSWORD=… kursaha_cohort
#
# Then, in a database, as a superuser: CREATE EXTENSION kursaha_cohort;
ARG PG_MAJOR=15

FROM rust:1.95-bookworm AS build
ARG PG_MAJOR
# The server's headers, from the archive of which the other image has its server.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates clang libclang-dev pkg-config postgresql-common \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install -y --no-install-recommends "postgresql-server-dev-$PG_MAJOR" \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN PG_CONFIG="/usr/lib/postgresql/$PG_MAJOR/bin/pg_config" DESTDIR=/out scripts/install

FROM postgres:${PG_MAJOR}-bookworm
COPY --from=build /out/ /
# In the sample that initdb copies, and not in the command, which whoever runs the image may replace.
RUN echo "shared_preload_libraries = 'kursaha_cohort'" >> /usr/share/postgresql/postgresql.conf.sample
