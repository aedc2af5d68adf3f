"""Traces: what an OpenTelemetry collector gets."""

from gateway import Gateway
from peers import HOST, make_file, until
from receivers import Receiver


def spans(collector):
    found = []
    for request in collector.events():
        for resource in request["resourceSpans"]:
            names = {one["key"]: one["value"]["stringValue"] for one in resource["resource"]["attributes"]}
            assert names["service.name"] == "gatehouse"
            found += [span for scope in resource["scopeSpans"] for span in scope["spans"]]
    return found


def test_the_way_of_a_file_is_one_trace(tmp_path, client, keys):
    with Receiver() as collector, Receiver() as receiver:
        settings = f'[traces]\nendpoint = "http://{HOST}:{collector.port}/v1/traces"\n'
        with Gateway(tmp_path / "g", settings) as gateway:
            gateway.run("webhook", "add", "HOOK", "-url", f"http://{HOST}:{receiver.port}/", "-events", "transfer.*")
            gateway.partner("alice", key=keys("alice"))
            gateway.somewhere("alice")
            client(gateway, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / 'a.bin', 500)} a.bin")
            ident = until("it is routed", lambda: gateway.deliveries("a.bin"))[0]["Ident"]
            gateway.run("pelctl", "control_trans", str(ident), "-action", "C")
            until("its end is told", lambda: any(span["name"] == "deliver" for span in spans(collector)))
            all_spans = spans(collector)
            names = {span["name"] for span in all_spans}
            assert {"receive", "route", "deliver"} <= names
            assert len({span["traceId"] for span in all_spans}) == 1, "one file, one trace"
            ids = [span["spanId"] for span in all_spans]
            assert len(ids) == len(set(ids)) and all(len(one) == 16 for one in ids)
            for span in all_spans:
                assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
                assert span.get("parentSpanId") in (None, *ids)
            own = next(span for span in all_spans if span["name"] == "receive")
            until("the webhook has it", lambda: receiver.events())
            assert receiver.events()[0]["traceparent"] == f"00-{own['traceId']}-{own['spanId']}-01"


def test_a_collector_that_is_away_delays_nothing(tmp_path, client, keys):
    settings = '[traces]\nendpoint = "http://127.0.0.1:9/v1/traces"\n'
    with Gateway(tmp_path / "g", settings) as gateway:
        gateway.partner("alice", key=keys("alice"))
        client(gateway, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / 'a.bin', 500)} a.bin")
        gateway.received("alice", "a.bin")
        until("it is told", lambda: "collector of traces does not answer" in gateway.log())
