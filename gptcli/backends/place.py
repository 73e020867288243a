"""Which server is asked, for which model, with which key: from flags, environment and user file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from gptcli.config import Endpoint, checked_url, endpoints, key_of
from gptcli.errors import InputError, UsageError
from gptcli.plain import dataclass
from gptcli.types.compute import DRAFTING, OPENAI, REMOTE, Compute
from gptcli.types.events import Notice
from gptcli.types.secret import Secret

#: Where the endpoint `openai` is, unless OPENAI_BASE_URL says otherwise.
OPENAI_URL = "https://api.openai.com/v1"
ADDRESS, KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
#: Of silence, in seconds: prompts wait long where many do. The client's own, as are its retries.
TIMEOUT, RETRIES = 600.0, 2
#: How many questions at once, where nothing says.
CONCURRENCY = 8
#: Flags that are about this machine.
_LOCAL = (
    *(
        "adapter",
        "adapter_apart",
        "steer",
        "device",
        "dtype",
        "calibration",
        "threads",
        "activations",
    ),
    *("exact_activations", "cpu_features", "ctx_size", "kv_dtype", *DRAFTING),
)


@dataclass(frozen=True)
class Place:
    """A server and the model that it is asked for.

    url: the base URL, without a slash at its end. name: the model as the user calls it, model: as
    the server does. server: the program's name where the user says it.
    """

    url: str
    name: str
    model: str
    key: Secret | None = None
    server: str | None = None
    timeout: float = TIMEOUT
    retries: int = RETRIES
    concurrency: int = CONCURRENCY

    @property
    def root(self) -> str:
        """Where what is no part of OpenAI's language is: the base URL without its `/v1`."""
        return self.url.removesuffix("/v1")


def place_of(
    compute: Compute, environment: Mapping[str, str] | None = None, *, named: bool = True
) -> Place | None:
    """The place that answers, None for this machine.

    named: whether a model has to be named. Raises UsageError for flags that do not fit it, and
    InputError for a file of a key that cannot be read.
    """
    environment = os.environ if environment is None else environment
    known = endpoints()
    found = _asked(compute, known, environment)
    if found is None:
        for name in REMOTE:
            if name in compute.by_hand:
                raise UsageError(f"--{key_of(name)}", "needs --base-url, or -m ENDPOINT/MODEL")
        return None
    endpoint, model = found
    for name in _LOCAL:
        if name in compute.by_hand:
            reason = f"is about this machine, and {endpoint.base_url} is to answer"
            raise UsageError(f"--{key_of(name)}", reason)
    if named and not model:
        # `settled` asks the server first.
        raise UsageError("--model", "is needed beside --base-url")
    return Place(
        url=endpoint.base_url,
        name=compute.model if named else model,
        model=model,
        key=compute.api_key_file or _key(endpoint, environment),
        server=endpoint.server,
        timeout=compute.timeout or endpoint.timeout or TIMEOUT,
        retries=RETRIES if endpoint.retries is None else endpoint.retries,
        concurrency=endpoint.concurrency or CONCURRENCY,
    )


def unencrypted(place: Place) -> Iterator[Notice]:
    """What to say where a key travels in the clear."""
    host = urlsplit(place.url).hostname or ""
    near = host == "localhost" or host == "::1" or host.startswith("127.")
    if place.key is not None and place.url.startswith("http://") and not near:
        yield Notice(place.url, "is no https: whoever is on the way can read the key")


def _asked(
    compute: Compute, known: Mapping[str, Endpoint], environment: Mapping[str, str]
) -> tuple[Endpoint, str] | None:
    """The endpoint, and the model as the server calls it: empty where nothing names one."""
    if compute.base_url is None:
        name, slash, model = compute.model.partition("/")
        endpoint = known.get(name)
        if endpoint is None or (slash and not model):
            return None
        if not slash and endpoint.model is None:
            raise UsageError("--model", f"endpoint {name} names no model", f"-m {name}/MODEL does")
        return endpoint, model or endpoint.model or ""
    # What settings name as the model is one of this machine.
    wanted = compute.model if "model" in compute.by_hand else ""
    if compute.base_url in known:
        endpoint = known[compute.base_url]
        return endpoint, wanted or endpoint.model or ""
    if compute.base_url == OPENAI:
        return Endpoint(_own_address(environment), api_key_env=KEY), wanted
    if "/" not in compute.base_url:
        names = ", ".join(sorted({*known, OPENAI}))
        reason = f"{compute.base_url} is neither an address nor an endpoint"
        raise UsageError("--base-url", reason, f"endpoints: {names}")
    return Endpoint(compute.base_url, api_key_env=KEY), wanted


def _own_address(environment: Mapping[str, str]) -> str:
    said = environment.get(ADDRESS)
    try:
        return checked_url(said) if said else OPENAI_URL
    except ValueError as error:
        raise UsageError(ADDRESS, str(error)) from None


def _key(endpoint: Endpoint, environment: Mapping[str, str]) -> Secret | None:
    """The endpoint's key, None where nothing has one."""
    file, variable = endpoint.api_key_file, endpoint.api_key_env
    if file is not None:
        return Secret.read(file)
    said = environment.get(variable, "").strip() if variable else ""
    if variable and variable != KEY and not said:
        raise UsageError(variable, "is not set, and the endpoint's key is to be in it")
    try:
        return Secret(said) if said else None
    except ValueError as error:
        raise InputError(variable or "", str(error)) from None
