-- The panel of what the design can find: a grid of simulated surveys as tables, which the script
-- turns into two sliders. `::: {.power-panel grid="fig-power"}` reads FIGURES/fig-power.json.

local core = claimledger_core
local panel, escape = {}, core.escape
local SHARES = { "power", "supported", "refuted", "negligible", "undecided" }
local HEADS = { "Respondents", "Effect", "Found", "Supported", "Refuted", "Negligible", "Undecided" }

local function read_grid(name)
  local folder = core.setting("figures") or core.root .. "/figures"
  local text = core.read(folder .. "/" .. name .. ".json")
  if not text then
    core.fail("grid=\"" .. core.literal(name) .. "\"", "no " .. name .. ".json among the figures",
      "a grid that a notebook has written", "claimledger build, or correct the name")
  end
  return pandoc.json.decode(text, false)
end

local function thousands(number)
  return (("%d"):format(math.floor(number)):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

local function percent(share)
  if share > 0 and share < 0.005 then return "< 1%" end
  if share < 1 and share > 0.995 then return "> 99%" end
  return ("%.0f%%"):format(100 * share)
end

local function cells(tag, texts)
  local out = pandoc.List(texts):map(function(text) return ("<%s>%s</%s>"):format(tag, text, tag) end)
  return "<tr>" .. table.concat(out) .. "</tr>"
end

-- One hypothesis: a row for each size and effect; and the largest standard error in it.
local function hypothesis_table(id, grid)
  local found, rows, worst = grid.hypotheses[id], pandoc.List(), 0
  for i, size in ipairs(grid.n) do
    for k, effect in ipairs(grid.d) do
      local texts = { thousands(size), ("%.2f"):format(effect) }
      for _, share in ipairs(SHARES) do
        table.insert(texts, escape(percent(found[share][i][k])))
        worst = math.max(worst, found.mcse and found.mcse[share] and found.mcse[share][i][k] or 0)
      end
      rows:insert(cells("td", texts))
    end
  end
  local entry = core.ledger().entries[id]
  local label = id .. (entry and core.given(entry.label) and ": " .. entry.label or "")
  local head = cells("th", HEADS):gsub("<th>", '<th scope="col">')
  return ('<details><summary>%s</summary><div class="scroll" tabindex="0" role="group" aria-label="%s">'
    .. '<table data-hypothesis="%s" data-label="%s"><thead>%s</thead><tbody>%s</tbody></table></div></details>')
    :format(escape(label), escape(id), escape(id), escape(label), head, table.concat(rows, "\n")), worst
end

-- The effect of the grid that is nearest to the smallest effect of interest.
local function middle(grid)
  local _, first = next(grid.hypotheses)
  local best = grid.d[1]
  for _, effect in ipairs(grid.d) do
    if math.abs(effect - first.sesoi) < math.abs(best - first.sesoi) then best = effect end
  end
  return ("%.2f"):format(best)
end

-- In HTML the words of the block, the panel and its tables; elsewhere the words alone.
function panel.fill(div)
  if not core.html then return div.content end
  local grid = read_grid(div.attributes.grid or "fig-power")
  local tables, worst = pandoc.List(), 0
  for _, id in ipairs(core.keys(grid.hypotheses)) do
    local one, error_of_it = hypothesis_table(id, grid)
    tables:insert(one)
    worst = math.max(worst, error_of_it)
  end
  local open = ('<section class="power-panel" aria-label="What the design can find" data-size="%s" data-effect="%s">')
    :format(thousands(grid.registered_n), middle(grid))
  local note = ("%s %s simulated surveys of each size; Monte Carlo standard error at most %.1f percentage points.")
    :format(grid.what, thousands(grid.simulations), 100 * worst)
  local out = pandoc.Blocks({ pandoc.RawBlock("html", open) })
  out:extend(div.content)
  out:insert(pandoc.RawBlock("html", table.concat({
    '<div class="power-controls" hidden><output aria-live="polite"></output></div>',
    "<details><summary>All values of the grid</summary>", table.concat(tables, "\n"), "</details>",
    ('<p class="power-note">%s</p>'):format(escape(note)), "</section>",
  }, "\n")))
  return out
end

return panel
