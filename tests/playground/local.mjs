// Runs the playground without a page under Node: for each request, a setup and commands, prints what the backend says.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { connect } = await import(new URL("local.js", pathToFileURL(`${process.argv[2]}/`)));

// typed arrays as lists, and what is not finite as null
function asPlain(value) {
    if (ArrayBuffer.isView(value)) return Array.from(value, asPlain);
    if (typeof value === "number") return Number.isFinite(value) ? value : null;
    if (Array.isArray(value)) return value.map(asPlain);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, asPlain(each)]));
}

const found = [];
for (const commands of JSON.parse(readFileSync(0, "utf-8"))) {
    const backend = await connect();
    let frame = null, began = 0;
    const said = [{ hello: backend.hello }];
    for (const command of commands) {
        frame = null;
        began = performance.now();
        backend.onframe = (each) => (frame = each);
        try {
            said.push({ reply: await backend.send(command) });
        } catch (error) {
            said.push({ error: error.message, knob: error.knob });
        }
        // a run goes on by itself, until a step, and so does a step or a replay that takes long
        const goes = "reply" in said.at(-1) && ["run", "seek", "step"].includes(command.do);
        while (goes && (frame === null || frame.running)) await new Promise((resolve) => setTimeout(resolve, 10));
        said.at(-1).frame = frame;
        said.at(-1).took = performance.now() - began;
    }
    backend.close();
    found.push(asPlain(said));
}
process.stdout.write(JSON.stringify(found));
