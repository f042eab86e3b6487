import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpoint, parseConnection, readConnection } from "./connection.ts";

const good = {
  transport: "tcp",
  ip: "127.0.0.1",
  key: "k",
  signature_scheme: "hmac-sha256",
  shell_port: 1,
  iopub_port: 2,
  stdin_port: 3,
  control_port: 4,
  hb_port: 5,
};

describe("a connection file", () => {
  it("gives the endpoints and the hash", () => {
    const connection = parseConnection(JSON.stringify(good), "c.json");
    assert.equal(endpoint(connection, "iopub"), "tcp://127.0.0.1:2");
    assert.equal(connection.hash, "sha256");
    const files = parseConnection(JSON.stringify({ ...good, transport: "ipc", ip: "folder/s" }), "c.json");
    assert.equal(endpoint(files, "hb"), "ipc://folder/s-5");
  });

  it("is refused with the field that is wrong", () => {
    const refuse = (change: object, pattern: RegExp) =>
      assert.throws(() => parseConnection(JSON.stringify({ ...good, ...change }), "c.json"), pattern);
    refuse({ transport: "udp" }, /^KernelError: invalid transport in the connection file; needs .*: c.json: "udp"$/);
    refuse({ ip: 5 }, /invalid ip/);
    refuse({ key: null }, /invalid key/);
    refuse({ signature_scheme: "hmac-nothing" }, /invalid signature_scheme/);
    refuse({ signature_scheme: 1 }, /invalid signature_scheme/);
    refuse({ hb_port: undefined }, /invalid hb_port/);
    refuse({ shell_port: 70_000 }, /invalid shell_port/);
    refuse({ shell_port: "1" }, /invalid shell_port/);
    assert.throws(() => parseConnection("{", "c.json"), /not JSON: c.json/);
    assert.throws(() => parseConnection("[]", "c.json"), /not a JSON object: c.json/);
    assert.throws(() => readConnection("no/such/file.json"), /cannot read the connection file: .*no\/such\/file/);
  });
});
