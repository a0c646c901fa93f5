//! The configuration of each gateway: one worker, connections kept, no access log, streams not held back.

use std::net::SocketAddr;
use std::path::Path;

/// nginx as a plain proxy.
pub(crate) fn nginx(
    listen: SocketAddr,
    mock: SocketAddr,
    folder: &Path,
    connections: u64,
) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  upstream mock {{
    server {mock};
    keepalive 256;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen} backlog=4096;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"
    )
}

/// HAProxy as a plain proxy.
pub(crate) fn haproxy(listen: SocketAddr, mock: SocketAddr, connections: u64) -> String {
    format!(
        "global
  nbthread 1
  maxconn {connections}
defaults
  mode http
  no log
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  option http-keep-alive
  option http-no-delay
  http-reuse always
frontend in
  bind {listen} backlog 4096
  default_backend out
backend out
  server mock {mock}
"
    )
}

/// LiteLLM's proxy with a master key, which it needs, and no database.
pub(crate) fn litellm(mock: SocketAddr, key: &str) -> String {
    format!(
        "model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: http://{mock}/v1
      api_key: sk-partner
      input_cost_per_token: 0.00000015
      output_cost_per_token: 0.0000006
general_settings:
  master_key: {key}
litellm_settings:
  telemetry: false
"
    )
}

/// Outrigger with everything on: keys required, budgets in money and tokens, a price, the ledger.
pub(crate) fn outrigger(
    listen: SocketAddr,
    admin: SocketAddr,
    mock: SocketAddr,
    durability: &str,
) -> String {
    format!(
        "version: 1
server:
  api: {listen}
  admin: {admin}
  limits: {{connections_per_ip: 20000}}
auth: {{keys: required}}
providers:
  bench:
    type: openai-compatible
    base_url: http://{mock}/v1
    key: env:BENCH_PARTNER_KEY
    models: [bench]
    timeouts: {{idle: 10min, first_byte: 60s}}
capabilities:
  chat: [bench/bench]
budgets:
  all: 1000000 USD per month
  tokens: {{app: bench, limit: 1000000M tokens, per: day}}
  requests: {{capability: chat, limit: 1000M requests, per: day}}
prices:
  unpriced: reject
  overrides:
    bench/bench: {{input: 0.15 USD per 1M, output: 0.60 USD per 1M}}
ledger: {{durability: {durability}, dir: data}}
"
    )
}
