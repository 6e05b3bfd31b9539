import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../../support/bundle.ts'
import { pythonWith } from '../../support/python.ts'
import { blocks, exported, walkThrough } from '../../support/pytorch-example.ts'

/* docs/from-pytorch.md with PyTorch itself, and the exporter that it takes by default. */

const python = await pythonWith([`torch==${exported.torch}`, 'numpy', 'onnx', 'onnxscript', 'pyarrow'], {
  // Its wheel needs the libraries of CUDA, but neither a compiler for GPUs nor headers.
  unneeded: ['triton', 'torch/include'],
  milliseconds: 900_000,
})

t.test(
  'what PyTorch exports today goes the way of the page',
  { skip: typeof python === 'string' && python },
  async (t) => {
    if (typeof python === 'string') return
    const folder = await temporaryFolder(t)
    const script = join(folder, 'export.py')
    // The script writes into the working directory.
    await writeFile(script, `import os\nos.chdir(${JSON.stringify(folder)})\n${blocks.export}`)
    await python.run(script, [])
    await walkThrough(t, folder)
  },
)
