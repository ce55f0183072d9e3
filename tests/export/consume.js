// A service that has never heard of lottery_ticket: node consume.js model.onnx inputs.json
const fs = require("fs");
const ort = require("onnxruntime-node");

async function main() {
  const [file, inputs] = process.argv.slice(2);
  const { shape, values } = JSON.parse(fs.readFileSync(inputs, "utf8"));
  const session = await ort.InferenceSession.create(file);
  const input = new ort.Tensor("float32", Float32Array.from(values), shape);
  const { output } = await session.run({ input });
  console.log(JSON.stringify({ shape: output.dims, values: Array.from(output.data) }));
}

main();
