-- Quarto walks some eighty times over the whole text, and half of what it meets are cells of tables,
-- of which it changes nothing that our page shows. Set aside meanwhile, they save a fifth of
-- pandoc's time; `finish.lua` puts them back.

local core = dofile(quarto and quarto.utils.resolve_path("core.lua")
  or pandoc.path.directory(PANDOC_SCRIPT_FILE) .. "/core.lua")
if claimledger_cells then return claimledger_cells end
local cells, kept, MARK = {}, {}, "cells-aside"
claimledger_cells = cells

-- Whether Quarto has anything to do inside: shortcodes, references, pictures, formulas.
local function busy(tab)
  local found = false
  local function seen() found = true end
  tab:walk({ Span = seen, Cite = seen, Link = seen, Image = seen, Math = seen, Note = seen })
  return found
end

function cells.aside(tab)
  if not (quarto and core.own) or #tab.bodies == 0 or busy(tab) then return tab end
  table.insert(kept, tab.bodies)
  tab.attributes[MARK], tab.bodies = tostring(#kept), {}
  return tab
end

-- A table may have no rows of its own; where some were set aside, one without is one that lost them.
function cells.back(tab)
  local number = tonumber(tab.attributes[MARK])
  if number then tab.attributes[MARK], tab.bodies = nil, kept[number] end
  if #tab.bodies == 0 and #kept > 0 then core.fail("tbl%-", "a table that lost its rows", "rows, as its cell has them") end
  return tab
end

return cells
