/** That in a picture nothing lies on anything else, and all is in the page. */
import { expect } from 'vitest'
import { pixelsOf, styles } from '../../src/graph/boxes.ts'
import type { Graph } from '../../src/graph/graph.ts'
import { type Edge, type Layout, layOut, type PlacedLine, type Rectangle } from '../../src/graph/graph-layout.ts'

const textOf = ({ text, style, x, y }: PlacedLine): Rectangle => {
  const { size } = styles[style]
  return { x, y: y - size + 2, width: pixelsOf(text, style), height: size }
}

const overlaps = (one: Rectangle, other: Rectangle) =>
  one.x < other.x + other.width &&
  other.x < one.x + one.width &&
  one.y < other.y + other.height &&
  other.y < one.y + one.height

const isWithin = (one: Rectangle, other: Rectangle) =>
  one.x >= other.x &&
  one.y >= other.y &&
  one.x + one.width <= other.x + other.width &&
  one.y + one.height <= other.y + other.height

/** A line as a rectangle that is as thick. */
const strokeOf = ({ from: [startX, startY], to: [endX, endY] }: Edge): Rectangle => ({
  x: Math.min(startX, endX),
  y: Math.min(startY, endY) - 0.75,
  width: Math.max(1.5, Math.abs(endX - startX)),
  height: Math.max(1.5, Math.abs(endY - startY))
})

/** A rectangle without its border, at which edges begin and end. */
const insideOf = ({ x, y, width, height }: Rectangle): Rectangle => ({
  x: x + 2,
  y: y + 2,
  width: width - 4,
  height: height - 4
})

/** Pairs that lie on each other. */
const pairs = (ones: readonly Rectangle[], others: readonly Rectangle[]) =>
  ones.flatMap((one) => others.filter((other) => one !== other && overlaps(one, other)).map((other) => [one, other]))

/** Checks the layout of a graph: no box lies on another, no edge runs through a text or a box, and each text is in its box. */
export function checkLayout(graph: Graph): Layout {
  const layout = layOut(graph)
  const { boxes, edges, panels, rates } = layout
  const framed = boxes.filter(({ isOpen }) => !isOpen)
  const all = { x: 0, y: 0, width: layout.width, height: layout.height }
  const lines = [...boxes.flatMap(({ lines }) => lines), ...panels.map(({ heading }) => heading), ...rates].map(textOf)
  const strokes = edges.map(strokeOf)
  const outside = [
    ...[...boxes, ...panels, ...strokes, ...lines].filter((one) => !isWithin(one, all)),
    ...boxes.flatMap((one) => one.lines.filter((line) => !isWithin(textOf(line), one))),
    ...panels.filter((one) => !isWithin(textOf(one.heading), one))
  ]
  expect(outside).toEqual([])
  expect(pairs(boxes, boxes)).toEqual([])
  expect(pairs(panels, panels)).toEqual([])
  expect(pairs(strokes, lines)).toEqual([])
  expect(pairs(strokes, framed.map(insideOf))).toEqual([])
  expect(pairs(rates.map(textOf), framed)).toEqual([])
  return layout
}
