-- Once Quarto's own passes are over: what is read as one is bound, and the cells of tables are back in
-- their places. (Quarto gives each script globals of its own; what `dofile` loads is one for all.)

local function script(name) return dofile(quarto.utils.resolve_path(name)) end

local bind = script("core.lua").own and { Pandoc = script("bind.lua").document } or {}

return { bind, { Table = script("cells.lua").back } }
