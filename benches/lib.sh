# Shared by the scripts in this folder: builds the programs, makes a scratch folder that is removed
# at exit, starts a web server on loopback, and computes times and medians.
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=${CARGO_TARGET_DIR:-$project/target}/release
cargo build --quiet --release --workspace --features cli --manifest-path "$project/Cargo.toml"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/patcher-bench.XXXXXX")
server=
finish() {
  if [ -n "$server" ]; then kill "$server" && wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

# Serves $work/site at $url with nginx. Only paths and port differ from the default configuration.
# The access log has one line `URI BYTES STATUS SENT RECEIVED` for each request: the size of the
# body, and all bytes of the response and of the request.
serve() {
  mkdir -p "$work/nginx" "$work/site"
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  cat >"$work/nginx.conf" <<X
daemon off; pid $work/nginx/pid; error_log $work/nginx/error.log; $([ "$(id -u)" = 0 ] && echo "user root;")
events {}
http {
  include /etc/nginx/mime.types; sendfile on; tcp_nopush on;
  log_format bytes '\$uri \$body_bytes_sent \$status \$bytes_sent \$request_length'; access_log $work/nginx/access.log bytes;
  client_body_temp_path $work/nginx; proxy_temp_path $work/nginx; fastcgi_temp_path $work/nginx;
  uwsgi_temp_path $work/nginx; scgi_temp_path $work/nginx;
  server { listen 127.0.0.1:$port; root $work/site; }
}
X
  nginx -c "$work/nginx.conf" &
  server=$!
  url=http://127.0.0.1:$port
  for _ in $(seq 100); do
    if curl -s -o /dev/null "$url/"; then return; fi
    sleep 0.1
  done
  echo "nginx did not start" >&2
  exit 1
}

# Runs a command and prints the seconds that it took.
seconds() {
  local start=$EPOCHREALTIME
  "$@" >/dev/null
  echo "$EPOCHREALTIME - $start" | bc
}

# Prints the median of an odd number of figures.
median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }

# Prints the first figure divided by the second.
ratio() { echo "scale=4; $1 / $2" | bc | xargs printf '%.2f'; }
