import { sigmoid } from '../../model/serving/calibration/calibrator.ts'
import { createRandom, type Random } from './random.ts'
import type { Column, RowCell, Source } from './source.ts'

/** Impressions for which b₀ and b₁ are solved. */
const probeRows = 20_000

/** The logits of a click and of a conversion after it, without their bias. */
export interface Logits {
  click: number
  conversion: number
}

/** Draws impressions, one after the other. */
export interface World<I extends Logits> {
  impression(random: Random): I
}

export interface ImpressionOptions {
  rows: number
  skip: number
  seed: number
  click_rate: number
  conversion_rate: number
}

/** The events of an impression, and how probable they were. */
export interface Outcome {
  click: 0 | 1
  conversion: 0 | 1
  pClick: number
  pConversion: number
}

/** How impressions of one kind become rows. */
export interface Impressions<I extends Logits> {
  columns: Column[]
  createWorld(random: Random): World<I>
  toCells(impression: I, outcome: Outcome, random: Random): RowCell[]
}

/**
 * Impressions of which the true P(click) and P(conversion | click) are known. The same options give the same rows, bit
 * for bit.
 */
export function createImpressions<I extends Logits>(
  { columns, createWorld, toCells }: Impressions<I>,
  options: ImpressionOptions,
): Source {
  let read = 0
  return {
    columns,
    place: (index) => `row ${index + 1}`,
    progress: () => read / options.rows,
    *rows() {
      const world = createWorld(createRandom(options.seed))
      const bias = solveBias(world, createRandom(options.seed + 1), options)
      const random = createRandom(options.seed + 2)
      const next = () => {
        const impression = world.impression(random)
        return toCells(impression, drawOutcome(impression, bias, random), random)
      }
      for (let skipped = 0; skipped < options.skip; skipped++) next()
      for (; read < options.rows; read++) yield next()
    },
  }
}

/** Finds the biases that give a sample of impressions the wanted mean probabilities. */
function solveBias<I extends Logits>(world: World<I>, random: Random, options: ImpressionOptions): Logits {
  const sample = Array.from({ length: probeRows }, () => world.impression(random))
  const clicks = Float64Array.from(sample, ({ click }) => click)
  const conversions = Float64Array.from(sample, ({ conversion }) => conversion)
  const click = bisect((bias) => meanProbability(clicks, bias) - options.click_rate)
  const clicked = clicks.map((logit) => sigmoid(logit + click))
  const conversion = bisect((bias) => meanProbability(conversions, bias, clicked) - options.conversion_rate)
  return { click, conversion }
}

function drawOutcome(logits: Logits, bias: Logits, random: Random): Outcome {
  const pClick = sigmoid(logits.click + bias.click)
  const pConversion = sigmoid(logits.conversion + bias.conversion)
  const click = random.uniform() < pClick
  const conversion = random.uniform() < pConversion && click
  return { click: click ? 1 : 0, conversion: conversion ? 1 : 0, pClick, pConversion }
}

/** The zero of the increasing function `f` between −30 and 30. */
function bisect(f: (x: number) => number): number {
  let low = -30
  let high = 30
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2
    if (f(middle) < 0) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** Mean of `sigmoid(logit + bias)`, each weighted with `weights`; default: with 1. */
function meanProbability(logits: Float64Array, bias: number, weights?: Float64Array): number {
  let sum = 0
  let total = 0
  for (let i = 0; i < logits.length; i++) {
    const weight = weights === undefined ? 1 : weights[i]!
    sum += sigmoid(logits[i]! + bias) * weight
    total += weight
  }
  return sum / total
}
