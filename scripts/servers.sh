# shellcheck shell=bash
# Private PostgreSQL and NATS servers for tests: a library for ./test, ./postgres and ./nats.
#
# Every server has its data in a folder given by the caller, never runs as root, listens on a free loopback port, and is
# ended by the process id in its own data folder, so that no other server of the machine is affected. Linux only. Any
# failure ends the calling script.

say() { printf '%s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# Prints the folder of the newest PostgreSQL on this machine, or fails. Debian keeps it out of PATH.
postgres_bin() {
  local initdb=${REGISTRAR_TEST_POSTGRES_BIN+$REGISTRAR_TEST_POSTGRES_BIN/initdb}
  [ -n "$initdb" ] || initdb=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
  [ -x "$initdb" ] || initdb=$(command -v initdb) || return 1
  dirname "$initdb"
}

# Prints the path of nats-server, or fails. Debian installs it in a folder that only root has in PATH.
nats_bin() {
  local bin=${REGISTRAR_TEST_NATS_SERVER-}
  [ -n "$bin" ] || bin=$(PATH=$PATH:/usr/sbin command -v nats-server) || return 1
  printf '%s\n' "$bin"
}

# postgres_start DIR [OWNER [SETTINGS]]: starts the server of DIR, creating it the first time, and prints its URL, which
# stays the same for the life of DIR. Its log is DIR/postgres.log. When the process OWNER of the first start ends, for
# any reason, the server is removed. SETTINGS are further lines of postgresql.conf.
postgres_start() {
  local dir home bin port tries=10
  bin=$(postgres_bin) || die 'No PostgreSQL found. Debian: apt-get install postgresql'
  dir=$(realpath -m "$1")
  [ -f "$dir/private-postgres/url" ] || make_home postgres "$dir" "${2-}"
  home=$(realpath "$dir/private-postgres")
  [ -d "$home/data" ] || make_cluster "$bin" "$home" "${3-}" >>"$dir/postgres.log" 2>&1 ||
    die "initdb failed: $dir/postgres.log"

  until server_pid postgres "$home" >/dev/null; do
    [ $((tries--)) -gt 0 ] || die "PostgreSQL does not start: $dir/postgres.log"
    # The pid file of a killed server blocks the next start until the dead process is reaped, which may be never in a
    # container. The data is protected by the lock on its shared memory instead.
    rm -f "$home/data/postmaster.pid"
    port=$(server_port "$home")
    if as_server "$bin/pg_ctl" start --wait --silent --pgdata="$home/data" --options="-p $port" \
      </dev/null >>"$dir/postgres.log" 2>&1; then
      echo "$port" >"$home/port"
      echo "postgres://postgres:$(cat "$home/password")@127.0.0.1:$port/postgres" >"$home/url"
    else
      sleep 0.5
    fi
  done
  cat "$home/url"
}

# postgres_stop DIR [MODE]: stops the server and keeps its data. MODE is `fast`, an orderly stop, or `immediate`, a
# crash.
postgres_stop() {
  local home pid bin
  home=$(realpath -m "$1/private-postgres")
  pid=$(server_pid postgres "$home") || return 0
  bin=$(postgres_bin)
  # A test may have frozen the server, and a frozen process ignores the signal to stop.
  kill -CONT "$pid"
  as_server "$bin/pg_ctl" stop --wait --silent --pgdata="$home/data" --mode="${2-fast}"
}

# nats_start DIR [OWNER]: starts a NATS server with JetStream; see postgres_start.
nats_start() {
  local dir home bin port pid tries=10
  bin=$(nats_bin) || die 'No nats-server found. Debian: apt-get install nats-server'
  dir=$(realpath -m "$1")
  [ -f "$dir/private-nats/url" ] || make_home nats "$dir" "${2-}"
  home=$(realpath "$dir/private-nats")
  as_server mkdir -p "$home/data"

  until server_pid nats "$home" >/dev/null; do
    [ $((tries--)) -gt 0 ] || die "NATS does not start: $dir/nats.log"
    port=$(server_port "$home")
    nats_config "$bin" "$home" "$port" >"$home/nats.conf"
    rm -f "$home"/data/*.ports
    become_server setsid env -C "$home/data" "$bin" --config "$home/nats.conf" \
      </dev/null >>"$dir/nats.log" 2>&1 &
    pid=$!
    # The server writes this file once it listens, and exits if it cannot listen.
    while kill -0 "$pid" 2>/dev/null && ! ls "$home"/data/*.ports >/dev/null 2>&1; do sleep 0.05; done
    if kill -0 "$pid" 2>/dev/null; then
      echo "$pid" >"$home/data/nats.pid"
      echo "$port" >"$home/port"
      echo "nats://127.0.0.1:$port" >"$home/url"
    else
      sleep 0.5
    fi
  done
  cat "$home/url"
}

# nats_stop DIR [MODE]: see postgres_stop.
nats_stop() {
  local home pid signal=TERM
  home=$(realpath -m "$1/private-nats")
  pid=$(server_pid nats "$home") || return 0
  [ "${2-fast}" = fast ] || signal=KILL
  kill -CONT "$pid"
  kill "-$signal" "$pid"
  for _ in {1..100}; do
    server_pid nats "$home" >/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$pid"
}

# server_remove KIND DIR: stops the server and deletes its data. The log stays.
server_remove() {
  local home=$2/private-$1
  [ -d "$home" ] || return 0
  # A PostgreSQL server that never listened ends itself within a minute after its data is deleted.
  "$1_stop" "$2" immediate || say "The server of $2 did not stop: $2/$1.log"
  rm -rf "$(realpath "$home")" "$home"
}

# server_command KIND ...: the command line of ./postgres and ./nats.
server_command() {
  local kind=$1
  shift
  case ${1-}:$# in
    start:[23]) "${kind}_start" "$2" "${3-}" ;;
    stop:2 | stop:3) "${kind}_stop" "$2" "${3-fast}" ;;
    remove:2) server_remove "$kind" "$2" ;;
    keep:3)
      cd /
      while kill -0 "$3" 2>/dev/null && [ -d "$2/private-$kind" ]; do sleep 0.5; done
      server_remove "$kind" "$2"
      ;;
    *)
      say "scripts/$kind start DIR [OWNER]     prints its URL; removed when the process OWNER ends"
      say "scripts/$kind stop DIR [immediate]  keeps its data and port; \`immediate\` is a crash"
      say "scripts/$kind remove DIR            ends it and deletes its data; DIR/$kind.log stays"
      exit 2
      ;;
  esac
}

as_server() { (become_server "$@"); }

# Replaces this process with a command run by the user for servers, in a folder accessible to that user.
become_server() {
  cd /
  [ "$(id -u)" -eq 0 ] || exec "$@"
  local user
  user=$(server_user)
  exec setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
}

# PostgreSQL refuses to run as root, and nothing else needs root: root switches to this user.
server_user() {
  id -u postgres >/dev/null 2>&1 && echo postgres || echo nobody
}

# Prints the process id of the server of HOME if it runs. The pid alone is not enough: it may belong to another process
# by now, or to a killed server that is not reaped yet.
server_pid() {
  local file=$2/data/nats.pid pid
  [ "$1" = nats ] || file=$2/data/postmaster.pid
  pid=$(head -n 1 "$file" 2>/dev/null) || return 1
  [ "/proc/$pid/cwd" -ef "$2/data" ] && echo "$pid"
}

# Prints the port of the server of HOME, or a free one before its first start; another process may take that one first.
# It is below the kernel's range of ports for outgoing connections, so that it is still free when a stopped server
# starts again.
server_port() {
  local port
  if ! port=$(cat "$1/port" 2>/dev/null); then
    port=$((20000 + SRANDOM % 10000))
    while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((20000 + SRANDOM % 10000)); done
  fi
  echo "$port"
}

# Creates DIR/private-KIND, owned by the user for servers. If that user has no access to DIR (a checkout in a private
# home), the folder is created in /tmp and linked.
make_home() {
  local home=$2/private-$1 place
  mkdir -p "$2"
  mkdir -m 0700 "$home" || die "Left over from a failed start: ./scripts/$1 remove $2"
  if [ "$(id -u)" -eq 0 ]; then
    chown "$(server_user):" "$home"
    if ! as_server test -w "$home"; then
      rmdir "$home"
      place=$(mktemp -d "/tmp/registrar-$1.XXXXXX")
      chown "$(server_user):" "$place"
      ln -s "$place" "$home"
    fi
  fi
  [ -z "$3" ] || keep "$@"
}

# Starts a watchdog that removes the server of DIR when the process OWNER is gone: a trap does not run on SIGKILL. The
# watchdog has a session of its own, since a signal to the owner's process group would end it too, and none of the
# owner's pipes, since their readers would wait for it.
keep() {
  setsid "$(dirname "${BASH_SOURCE[0]}")/$1" keep "$2" "$3" </dev/null >/dev/null 2>&1 &
}

make_cluster() {
  local bin=$1 home=$2
  (
    umask 077
    random_hex >"$home/password"
    scram_verifier "$(cat "$home/password")" >"$home/verifier"
  )
  [ "$(id -u)" -ne 0 ] || chown "$(server_user):" "$home/password" "$home/verifier"

  local options=(--username=postgres --pwfile="$home/verifier" --auth=scram-sha-256
    --encoding=UTF8 --locale=C.UTF-8)
  # Production databases often sort by language, not by byte. This one does too, so that tests notice a missing COLLATE.
  # Older releases cannot do so without locales of the machine.
  if [ "$("$bin/postgres" --version | grep -oE '[0-9]+' | head -n 1)" -ge 15 ]; then
    options+=(--locale-provider=icu --icu-locale=en)
  fi
  # A half-created cluster, left by a crash of the machine, is created again.
  as_server "$bin/initdb" --no-sync --pgdata="$home/data" "${options[@]}" || return 1

  # fsync stays on unless SETTINGS say otherwise: without it the crash tests would prove nothing. No Unix socket, since
  # its path is limited to 107 bytes.
  cat >>"$home/data/postgresql.conf" <<-END
	listen_addresses = '127.0.0.1'
	unix_socket_directories = ''
	max_connections = 300
	fsync = on
	$3
	END
}

random_hex() { od -An -N16 -tx1 /dev/urandom | tr -d ' '; }

# scram_verifier PASSWORD: prints PostgreSQL's verifier of a password without quotes (RFC 5803), with one iteration. The
# usual 4,096 protect guessable passwords, and cost an unoptimised client 25 ms per connection.
scram_verifier() {
  local password salt salted client stored server
  password=$(printf %s "$1" | od -An -v -tx1 | tr -d ' \n')
  salt=$(random_hex)
  salted=$(hmac_sha256 "$password" "${salt}00000001")
  client=$(hmac_sha256 "$salted" "$(printf 'Client Key' | od -An -tx1 | tr -d ' ')")
  stored=$(sha256 "$client")
  server=$(hmac_sha256 "$salted" "$(printf 'Server Key' | od -An -tx1 | tr -d ' ')")
  printf 'SCRAM-SHA-256$1:%s$%s:%s\n' \
    "$(bytes "$salt" | base64)" "$(bytes "$stored" | base64)" "$(bytes "$server" | base64)"
}

# hmac_sha256 KEY MESSAGE, both in hexadecimal; the key has at most 64 bytes.
hmac_sha256() {
  local inner='' outer='' n
  for ((n = 0; n < 128; n += 2)); do
    printf -v inner '%s%02x' "$inner" $((16#0${1:n:2} ^ 0x36))
    printf -v outer '%s%02x' "$outer" $((16#0${1:n:2} ^ 0x5c))
  done
  sha256 "$outer$(sha256 "$inner$2")"
}

sha256() { bytes "$1" | sha256sum | cut -c1-64; }

# bytes HEX
bytes() { printf "$(sed 's/../\\x&/g' <<<"$1")"; }

nats_config() {
  local version sync='sync_interval: always'
  version=$("$1" --version | grep -o 'v[0-9][0-9.]*')
  # Releases before 2.10 reject this setting.
  [ "$(printf '%s\n' "$version" v2.10 | sort -V | head -n 1)" = v2.10 ] || sync=''
  cat <<-END
	listen: "127.0.0.1:$3"
	ports_file_dir: "$2/data"
	jetstream {
	  store_dir: "$2/data"
	  $sync
	}
	END
}
