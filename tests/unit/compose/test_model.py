from deploy_lib.compose.model import Service, read_model
from deploy_lib.release.image import Image


def test_replicas_and_ports_come_from_the_rendered_file() -> None:
    text = """{"services": {"a": {"image": "x", "ports": [{"published": "80"}]},
        "b": {"image": "y", "deploy": {"replicas": 0}}, "c": {"image": "z", "scale": 3}}}"""
    services = read_model(text)
    assert services["a"] == Service("a", Image("x"), 1, (80,))
    assert (services["b"].replicas, services["c"].replicas) == (0, 3)
