"""The configuration of each node: files that it copies over its own at boot."""

import base64
import configparser
import hashlib
import io
import json
import shutil
import uuid
from pathlib import Path

from .book import SSH_USER, Book, make_key, write_private
from .errors import LabError
from .layout import AMQP_LOGGING_COMPUTES, PORTS, Host
from .shell import known_hosts

Ini = dict[str, dict[str, str]]

HEARTBEATS = {
    "lab": {"report_interval": "5", "service_down_time": "20"},
    "nova": {"report_interval": "10", "service_down_time": "60"},
}
# Nova's own list; the last entry is what a host needs to log "Connected to AMQP server".
LOG_LEVELS = (
    "amqp=WARN,amqplib=WARN,boto=WARN,qpid=WARN,sqlalchemy=WARN,suds=INFO,oslo.messaging=INFO,"
    "oslo_messaging=INFO,iso8601=WARN,requests.packages.urllib3.connectionpool=WARN,"
    "urllib3.connectionpool=WARN,websocket=WARN,keystonemiddleware=WARN,routes.middleware=WARN,"
    "stevedore=WARN,taskflow=WARN,keystoneauth=WARN,oslo.cache=INFO,dogpile.core.dogpile=INFO"
)
AMQP_LOG_LEVEL = ",oslo.messaging._drivers.impl_rabbit=DEBUG"
CONTROLLER_UNITS = (
    "mariadb rabbitmq-server memcached keystone placement-api glance-api "
    "neutron-server nova-api nova-scheduler nova-conductor ssh"
)
COMPUTE_UNITS = "nova-compute ssh"
LIBVIRT_UNITS = " libvirtd.service libvirtd.socket libvirtd-tcp.socket virtlogd.socket"
NOVA_CONTROL_UNITS = ("nova-api", "nova-scheduler", "nova-conductor")


def parse_settings(words: list[str]) -> dict[str, str]:
    """`NAME=VALUE` words as options of nova.conf, `section.option` or, in DEFAULT, `option`.

    `heartbeat=nova` and `heartbeat=lab` stand for both heartbeat options.

    Raises: LabError on a word of another form.
    """
    options: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise LabError(f"{word!r} is not a setting of the form NAME=VALUE.")
        if name == "heartbeat":
            if value not in HEARTBEATS:
                raise LabError(f"heartbeat is {' or '.join(HEARTBEATS)}, not {value!r}.")
            options.update({f"DEFAULT.{key}": text for key, text in HEARTBEATS[value].items()})
        else:
            options[name if "." in name else f"DEFAULT.{name}"] = value
    return options


def write_nodes(book: Book) -> list[str]:
    """Write every node's folder.

    Returns: names of the hosts whose nova.conf is another one now.
    """
    make_key(book.key, f"{SSH_USER}@osm-lab")
    for host in book.hosts:
        make_key(book.node_folder(host.name) / "root/etc/ssh/ssh_host_ed25519_key", host.name)
    return [host.name for host in book.hosts if write_node(book, host)]


def write_node(book: Book, host: Host) -> bool:
    """Write one node's folder; True when its nova.conf has changed."""
    folder = book.node_folder(host.name)
    root = folder / "root"
    book.fault_folder(host.name).mkdir(mode=0o755, parents=True, exist_ok=True)
    for part in ("etc/ssh", "etc/nova", "home/maintenance/.ssh"):
        (root / part).mkdir(parents=True, exist_ok=True)
    shutil.copy(book.key.with_suffix(".pub"), root / "home/maintenance/.ssh/authorized_keys")
    # One state folder is one lab: the same host gets the same identities for ever.
    identity = uuid.uuid5(uuid.UUID(book.identity), host.name)
    (root / "etc/machine-id").write_text(identity.hex + "\n")
    (folder / "localtime").write_text(host.zone + "\n")
    units = CONTROLLER_UNITS if host.is_controller else COMPUTE_UNITS
    if book.virt == "libvirt" and not host.is_controller:
        units += LIBVIRT_UNITS
    (folder / "units").write_text(units + "\n")
    if host.is_controller:
        write_controller(book, root)
    else:
        (root / "etc/nova/compute_id").write_text(f"{identity}\n")
        if book.virt == "libvirt":
            write_disk_access(book, root)
    nova = root / "etc/nova/nova.conf"
    content = render(make_nova(book, host))
    changed = nova.exists() and nova.read_text() != content
    write_private(nova, content)
    return changed


def write_disk_access(book: Book, root: Path) -> None:
    """Computes copy disks to each other as root when they migrate cold."""
    key = book.names.state / "id_computes"
    make_key(key, "root@osm-lab")
    folder = root / "root/.ssh"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy(key, folder / "id_ed25519")
    shutil.copy(key.with_suffix(".pub"), folder / "authorized_keys")
    (root / "etc/ssh/ssh_known_hosts").write_text(known_hosts(book))


def write_controller(book: Book, root: Path) -> None:
    """The files that only the controller has."""
    for service, ini in make_services(book).items():
        (root / "etc" / service).mkdir(exist_ok=True)
        name = "glance-api.conf" if service == "glance" else f"{service}.conf"
        write_private(root / "etc" / service / name, render(ini))
    plugin = root / "etc/neutron/plugins/ml2"
    plugin.mkdir(parents=True, exist_ok=True)
    ml2 = {"type_drivers": "local,flat", "mechanism_drivers": "openvswitch"}
    (plugin / "ml2_conf.ini").write_text(render({"ml2": ml2}))
    for folder in ("fernet-keys", "credential-keys"):
        keys = root / "etc/keystone" / folder
        keys.mkdir(exist_ok=True)
        for number, key in enumerate(book.fernet_keys):
            write_private(keys / str(number), key)
    secrets = {
        "DATABASE_PASSWORD": book.database_password,
        "BROKER_PASSWORD": book.broker_password,
        "ADMIN_PASSWORD": book.admin_password,
        "CONTROLLER": book.controller.address,
    }
    (root / "etc/osm-lab").mkdir(exist_ok=True)
    write_private(
        root / "etc/osm-lab/secrets", "".join(f"{key}={value}\n" for key, value in secrets.items())
    )
    (root / "etc/rabbitmq").mkdir(exist_ok=True)
    (root / "etc/rabbitmq/rabbitmq.conf").write_text(
        "load_definitions = /etc/rabbitmq/definitions.json\n"
    )
    definitions = root / "etc/rabbitmq/definitions.json"
    definitions.write_text(make_broker_account(book.broker_password))
    definitions.chmod(0o600)
    (root / "etc/memcached.conf").write_text("-m 64\n-p 11211\n-u memcache\n-l 0.0.0.0\n")


def make_broker_account(password: str) -> str:
    """The broker's one account; it has it before it listens.

    Source: RabbitMQ's definitions file; hash as in its guide to passwords.
    """
    salt = hashlib.sha256(password.encode()).digest()[:4]
    salted = salt + hashlib.sha256(salt + password.encode()).digest()
    user = {
        "name": "openstack",
        "password_hash": base64.b64encode(salted).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "administrator",
    }
    rights = {"user": "openstack", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
    definitions = {"vhosts": [{"name": "/"}], "users": [user], "permissions": [rights]}
    return json.dumps(definitions)


def render(ini: Ini) -> str:
    """An oslo.config file."""
    parser = configparser.RawConfigParser(default_section="")
    # Options keep their case.
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_dict(ini)
    file = io.StringIO()
    parser.write(file)
    return file.getvalue()


def database_url(book: Book, user: str, database: str | None = None) -> str:
    """Where a service keeps its data."""
    where = book.controller.address
    return (
        f"mysql+pymysql://{user}:{book.database_password}@{where}/{database or user}?charset=utf8"
    )


def make_credentials(book: Book, **more: str) -> dict[str, str]:
    """How a service proves who it is to Keystone."""
    return {
        "auth_type": "password",
        "auth_url": f"http://{book.controller.address}:{PORTS['identity']}/v3",
        "username": "openstack-services",
        "password": book.service_password,
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
        "region_name": "RegionOne",
        **more,
    }


def make_token_check(book: Book) -> dict[str, str]:
    """The section keystone_authtoken of a service."""
    return make_credentials(
        book,
        www_authenticate_uri=f"http://{book.controller.address}:{PORTS['identity']}/v3",
        memcached_servers=f"{book.controller.address}:11211",
        service_token_roles_required="true",  # noqa: S106  # no password
    )


def transport_url(book: Book) -> str:
    """Where the broker is."""
    return f"rabbit://openstack:{book.broker_password}@{book.controller.address}:5672/"


def make_services(book: Book) -> dict[str, Ini]:
    """Configuration of the services other than Nova."""
    check = make_token_check(book)
    return {
        "keystone": {
            "DEFAULT": {"log_file": "/var/log/keystone/keystone.log"},
            "database": {"connection": database_url(book, "keystone")},
            "token": {"provider": "fernet", "expiration": "86400"},
            "identity": {"password_hash_rounds": "4"},
            "cache": {
                "enabled": "true",
                "backend": "dogpile.cache.pymemcache",
                "memcache_servers": f"{book.controller.address}:11211",
            },
        },
        "placement": {
            "DEFAULT": {"log_file": "/var/log/placement/placement-api.log"},
            "placement_database": {"connection": database_url(book, "placement")},
            "keystone_authtoken": check,
        },
        "glance": {
            "DEFAULT": {
                "log_file": "/var/log/glance/glance-api.log",
                "enabled_backends": "files:file",
            },
            "database": {"connection": database_url(book, "glance")},
            "keystone_authtoken": check,
            "paste_deploy": {"flavor": "keystone"},
            "glance_store": {"default_backend": "files"},
            "files": {"filesystem_store_datadir": "/var/lib/glance/images"},
            "os_glance_staging_store": {"filesystem_store_datadir": "/var/lib/glance/staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": "/var/lib/glance/tasks"},
        },
        "neutron": {
            "DEFAULT": {
                "log_file": "/var/log/neutron/neutron-server.log",
                "core_plugin": "ml2",
                "auth_strategy": "keystone",
                "transport_url": transport_url(book),
                "notify_nova_on_port_status_changes": "false",
                "notify_nova_on_port_data_changes": "false",
            },
            "database": {"connection": database_url(book, "neutron")},
            "keystone_authtoken": check,
            "oslo_concurrency": {"lock_path": "/var/lib/neutron/lock"},
        },
    }


def make_nova(book: Book, host: Host) -> Ini:
    """nova.conf of a host, with the lab's settings for all hosts and for this one."""
    credentials = make_credentials(book)
    ini: Ini = {
        "DEFAULT": {
            "host": host.name,
            "my_ip": host.address,
            "transport_url": transport_url(book),
            "log_dir": "/var/log/nova",
            "state_path": "/var/lib/nova",
            "periodic_fuzzy_delay": "0",
            "sync_power_state_interval": "30",
            **HEARTBEATS["lab"],
        },
        "keystone_authtoken": make_token_check(book),
        "placement": credentials,
        "neutron": credentials,
        "service_user": {**credentials, "send_service_user_token": "true"},
        "glance": {"api_servers": f"http://{book.controller.address}:{PORTS['image']}"},
        "vnc": {"enabled": "false"},
        "oslo_concurrency": {"lock_path": "/var/lib/nova/lock"},
        "quota": {name: "-1" for name in ("instances", "cores", "ram", "server_groups")},
    }
    if host.is_controller:
        ini["database"] = {"connection": database_url(book, "nova")}
        ini["api_database"] = {"connection": database_url(book, "nova", "nova_api")}
        ini["scheduler"] = {"discover_hosts_in_cells_interval": "5", "workers": "1"}
        ini["conductor"] = {"workers": "1"}
        ini["cache"] = {
            "enabled": "true",
            "backend": "dogpile.cache.pymemcache",
            "memcache_servers": f"{book.controller.address}:11211",
        }
    elif book.virt == "fake":
        ini["DEFAULT"]["compute_driver"] = "osm_lab.LabDriver"
    else:
        add_libvirt(ini, host)
    if host.name in AMQP_LOGGING_COMPUTES:
        ini["DEFAULT"]["default_log_levels"] = LOG_LEVELS + AMQP_LOG_LEVEL
    for scope in ("all", host.name):
        for name, value in book.settings.get(scope, {}).items():
            section, _, option = name.rpartition(".")
            ini.setdefault(section, {})[option] = value
    return ini


def add_libvirt(ini: Ini, host: Host) -> None:
    """Real guests in QEMU, without hardware virtualisation."""
    ini["DEFAULT"]["compute_driver"] = "libvirt.LibvirtDriver"
    ini["DEFAULT"]["reserved_host_memory_mb"] = "0"
    ini["libvirt"] = {
        "virt_type": "qemu",
        "cpu_mode": "none",
        "live_migration_uri": "qemu+tcp://%s/system",
        "live_migration_inbound_addr": host.address,
    }
    ini["workarounds"] = {"disable_rootwrap": "true"}
