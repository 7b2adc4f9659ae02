"""Configuration texts for the Postfix and the Dovecot of the test bed."""

from __future__ import annotations

from pathlib import Path

__all__ = ["dovecot_conf", "postfix_main", "postfix_master"]


def postfix_main(root: Path, gateway_domain: str, gateway_lmtp: str, user_lmtp_port: int) -> str:
    """main.cf: no outside mail, no DNS, quick retries."""
    return f"""\
compatibility_level = 3.6
config_directory = {root}/postfix
queue_directory = {root}/queue
data_directory = {root}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {root}/postfix.log
maillog_file_prefixes = {root}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.test
mydestination =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
relay_domains = {gateway_domain}, users.test
transport_maps = inline:{{
  {{ {gateway_domain} = lmtp:{gateway_lmtp} }}
  {{ users.test = lmtp:inet:127.0.0.1:{user_lmtp_port} }} }}
default_transport = error:no mail leaves the test bed
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_data_restrictions = reject_unauth_pipelining
smtpd_forbid_bare_newline = normalize
smtpd_peername_lookup = no
smtpd_tls_cert_file = {root}/tls/server.pem
smtpd_tls_key_file = {root}/tls/server.key
smtpd_tls_security_level = may
smtputf8_enable = yes
message_size_limit = 52428800
mailbox_size_limit = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
transport_retry_time = 1s
lmtp_connect_timeout = 5s
lmtp_line_length_limit = 998
"""


def postfix_master(smtp_port: int) -> str:
    """master.cf without a chroot and without anything that listens outside."""
    services = [
        (f"127.0.0.1:{smtp_port}", "inet", "n", "-", "-", "smtpd"),
        ("pickup", "unix", "n", "60", "1", "pickup"),
        ("cleanup", "unix", "n", "-", "0", "cleanup"),
        ("qmgr", "unix", "n", "5", "1", "qmgr"),
        ("tlsmgr", "unix", "-", "1000?", "1", "tlsmgr"),
        ("rewrite", "unix", "-", "-", "-", "trivial-rewrite"),
        ("bounce", "unix", "-", "-", "0", "bounce"),
        ("defer", "unix", "-", "-", "0", "bounce"),
        ("trace", "unix", "-", "-", "0", "bounce"),
        ("verify", "unix", "-", "-", "1", "verify"),
        ("flush", "unix", "n", "1000?", "0", "flush"),
        ("proxymap", "unix", "-", "-", "-", "proxymap"),
        ("smtp", "unix", "-", "-", "-", "smtp"),
        ("relay", "unix", "-", "-", "-", "smtp"),
        ("error", "unix", "-", "-", "-", "error"),
        ("retry", "unix", "-", "-", "-", "error"),
        ("discard", "unix", "-", "-", "-", "discard"),
        ("lmtp", "unix", "-", "-", "-", "lmtp"),
        ("anvil", "unix", "-", "-", "1", "anvil"),
        ("scache", "unix", "-", "-", "1", "scache"),
        ("postlog", "unix-dgram", "n", "-", "1", "postlogd"),
    ]
    return "".join(
        f"{name} {kind} {private} - n {wake} {most} {program}\n"
        for name, kind, private, wake, most, program in services
    )


def dovecot_conf(root: Path, imap_port: int, lmtp_port: int) -> str:
    """dovecot.conf: IMAPS and LMTP on loopback, accounts from a file, mail as the account "nobody"."""
    home = f"{root}/dovecot"
    return f"""\
protocols = imap lmtp
base_dir = {home}/run
state_dir = {home}/state
log_path = {root}/dovecot.log
listen = 127.0.0.1
mail_location = maildir:{home}/mail/%u
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
ssl = required
ssl_cert = <{root}/tls/server.pem
ssl_key = <{root}/tls/server.key
ssl_min_protocol = TLSv1.2
auth_mechanisms = plain login
auth_username_format = %Lu
imap_idle_notify_interval = 2 mins
mail_max_userip_connections = 50
recipient_delimiter = +
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {root}/accounts
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={home}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Processed {{
    auto = create
  }}
  mailbox Failed {{
    auto = create
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {imap_port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
}}
"""
