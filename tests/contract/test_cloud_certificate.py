"""The check of the cloud's certificate: a clouds.yaml may not switch it off, nor a login leak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from answering_cloud import (
    QUIET,
    URL,
    Answer,
    AnsweringCloud,
    answering,
    options,
)
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.adapters.cloud_health import CloudHealth
from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.errors import CloudError

pytestmark = QUIET


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> AnsweringCloud:
    return answering(monkeypatch)


ENTRY = """
clouds:
  lab:
    auth: {{auth_url: "{url}", username: u, password: {password}, project_name: n}}
    {setting}
"""


def entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str, url: str = URL) -> None:
    written = ENTRY.format(setting=setting, url=url, password="hunter22")
    (tmp_path / "clouds.yaml").write_text(written)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))


@pytest.mark.parametrize("open_cloud", [Nova, CloudHealth])
@pytest.mark.parametrize(
    "setting",
    ["verify: false", "verify: 'False'", "verify: 0", "verify: no", "verify:", "insecure: true"],
)
def test_an_entry_that_switches_the_check_of_the_certificate_off_is_refused(
    cloud: AnsweringCloud,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    setting: str,
    open_cloud: Any,
) -> None:
    entry(monkeypatch, tmp_path, setting)
    opened = open_cloud("openstack_default", {"cloud": "lab"})
    with pytest.raises(CloudError) as raised:
        opened.services() if open_cloud is Nova else opened.compute_services()
    key = "insecure: true" if "insecure" in setting else "verify: false"
    assert str(raised.value) == (
        f"connection openstack_default: {key} disables the certificate check, which this project "
        "never does. Remove it and name the CA in the extra cacert."
    )
    assert cloud.asked == []


@pytest.mark.parametrize("setting", ["verify: true", "insecure: false", "region_name: RegionOne"])
def test_an_entry_that_does_not_is_used(
    cloud: AnsweringCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str
) -> None:
    entry(monkeypatch, tmp_path, setting, f"{URL}/identity/v3")
    assert Nova("openstack_default", {"cloud": "lab"}).services()


@pytest.mark.parametrize("open_cloud", [Nova, CloudHealth])
@pytest.mark.parametrize(
    "text",
    [
        "clouds: [",
        "clouds: null",
        "clouds:\n  lab: hunter22",
        "clouds:\n  lab:\n    auth: hunter22",
        "clouds:\n  lab:\n    auth: &x [*x]",
        "clouds: {lab: {auth: {auth_url: 7, password: hunter22}}}",
        "clouds: {lab: {auth_type: [], auth: {}}}",
        "\0",
        "[" * 500,
    ],
)
def test_a_clouds_yaml_that_cannot_be_read_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, open_cloud: Any
) -> None:
    (tmp_path / "clouds.yaml").write_text(text)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    opened = open_cloud("openstack_default", {"cloud": "lab"})
    with pytest.raises(CloudError, match="its connection cannot be used") as raised:
        opened.services() if open_cloud is Nova else opened.new_token()
    assert "hunter22" not in str(raised.value)
    assert "clouds.yaml" in raised.value.remedy


def test_an_entry_with_a_login_in_its_url_is_refused_without_repeating_it(
    cloud: AnsweringCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry(monkeypatch, tmp_path, "", "https://admin:hunter22@ctl:5000/v3")
    with pytest.raises(Refused, match="contains a login") as raised:
        Nova("openstack_default", {"cloud": "lab"}).services()
    assert "hunter22" not in str(raised.value)
    assert cloud.asked == []


def test_the_secrets_of_an_entry_are_not_repeated_either(
    cloud: AnsweringCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry(monkeypatch, tmp_path, "", f"{URL}/identity/v3")
    cloud.answers["GET /v2.1/os-services"] = Answer({"x": {"message": "it is hunter22"}}, 500)
    with pytest.raises(CloudError, match=r"it is \*\*\*"):
        Nova("openstack_default", {"cloud": "lab"}).services()


def test_a_ca_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    given = options(cacert="/nowhere/ca.pem")
    given["auth"]["auth_url"] = "https://127.0.0.1:1/v3"
    with pytest.raises(CloudError, match=r"/nowhere/ca\.pem") as raised:
        Nova("openstack_default", given).services()
    assert "cacert" in raised.value.remedy
