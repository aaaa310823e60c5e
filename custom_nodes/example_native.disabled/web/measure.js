// Shows in a few words which nodes of this pack are on the canvas, and counts them on request.

const OURS = new Set(["ExampleFilmGrain", "ExampleMeasure"]);

export function heddle(heddle) {
  heddle.decorate((node) => (OURS.has(node.type) ? "example" : null));
  heddle.addCommand({
    id: "count",
    name: "Count the nodes of the example pack",
    run: () => {
      const count = heddle.nodes().filter((node) => OURS.has(node.type)).length;
      heddle.notify(`${count} nodes of the example pack are on the canvas`);
    },
  });
}
