import 'uplot/dist/uPlot.min.css'
import './style/tokens.css'
import './style/base.css'
import './style/frame.css'
import './style/parts.css'
import './style/charts.css'
import './style/playground.css'
import './style/requests.css'
import './style/models.css'
import './style/quality.css'
import { render } from 'preact'
import { Shell } from './shell/shell.tsx'

render(<Shell />, document.getElementById('app')!)
