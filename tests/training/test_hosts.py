import pytest

from landmarks_tf.errors import InvalidInput
from landmarks_tf.training import hosts


def test_a_lost_host_is_told_from_a_defect():
    gone = ValueError("UNKNOWN: Gloo AllGather failed: Connection closed by peer\nmore")
    assert hosts.explain_loss(gone) == (
        "another host is gone (Gloo AllGather failed: Connection closed by peer)"
    )
    for text in (
        "shapes differ",
        "INTERNAL: cuDNN error",
        "UNKNOWN: CUDNN_STATUS_NOT_INITIALIZED",
        "Gloo is not there",
    ):
        assert hosts.explain_loss(ValueError(text)) is None
    said = (
        "failed call to cuInit: INTERNAL: CUDA error\n"
        "F1126 client.h:80] Terminating process because the JAX distributed service "
        "detected fatal errors. See the other logs. absl::Status: {}\nmore"
    )
    unhealthy = "UNAVAILABLE: The following tasks are unhealthy:"
    gone = f"another host is gone ({unhealthy[:-1]})"
    assert hosts.explain_end(said.format(unhealthy)) == gone
    sent = "UNAVAILABLE: Failed to send RPC"
    gone = f"another host is gone ({sent})"
    assert hosts.explain_end(said.format(sent + ". Either the leader")) == gone
    assert hosts.explain_end(said.splitlines()[0]) is None


def test_hosts_that_do_not_come_are_told_from_a_port_in_use(monkeypatch):
    said = (
        "distributed service detected fatal errors. absl::Status: DEADLINE_EXCEEDED: "
        "Deadline Exceeded\n\nRPC: /xla.coordination.CoordinationService/RegisterTask"
    )
    missing = "the other hosts did not come within an hour"
    assert hosts.explain_end(said) == missing

    jax = pytest.importorskip("jax", reason="needs [distributed]")

    def fail(*_, **__):
        raise RuntimeError(message)

    monkeypatch.setattr(jax.distributed, "initialize", fail)
    message = "DEADLINE_EXCEEDED: Barrier timed out"
    with pytest.raises(ConnectionError, match=missing):
        hosts.meet("first:1", 2, 0)
    message = "UNKNOWN: Failed to add port to server"
    with pytest.raises(InvalidInput, match="must be a free port .*first:1 .*add port"):
        hosts.meet("first:1", 2, 0)
