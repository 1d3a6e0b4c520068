import pytest
from pydantic import ValidationError

from worker.face.configuration import Configuration

pytestmark = pytest.mark.usefixtures("environment")


def test_what_is_left_out_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XPANDER_API_KEY", "from-environment")
    monkeypatch.setenv("XPANDER_ORGANIZATION_ID", "org")
    configuration = Configuration(agent_id="a")
    assert (configuration.api_key, configuration.organization_id, configuration.agent_id) == (
        "from-environment",
        "org",
        "a",
    )
    assert configuration.settings.organization_id == "org"


def test_what_is_given_decides_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XPANDER_API_KEY", "from-environment")
    direct = Configuration(database_url="postgresql://u:geheim@h/d")
    assert direct.api_key is None
    assert direct.settings.api_key is None
    remote = Configuration(api_key="k", base_url="https://example.com")
    assert remote.database_url is None
    assert remote.settings.base_url == "https://example.com"


def test_secrets_are_not_shown() -> None:
    shown = repr(Configuration(api_key="geheim", database_url="postgresql://u:geheim@h/d"))
    assert "geheim" not in shown


def test_an_unknown_name_is_refused_without_showing_values() -> None:
    with pytest.raises(ValidationError) as refused:
        Configuration(api_kye="geheim")  # type: ignore[call-arg] # that is the test
    assert "geheim" not in str(refused.value)


def test_configurations_of_one_place_share_it() -> None:
    assert Configuration(agent_id="a").place == Configuration().place
    assert Configuration(organization_id="other").place != Configuration().place
