-- Once Quarto's own passes are over: what was set aside is back in its place, and what is read as one
-- is bound. (Quarto gives each script globals of its own; what `dofile` loads is one for all.)

local function script(name) return dofile(quarto.utils.resolve_path(name)) end

local bind = script("core.lua").own and { Pandoc = script("bind.lua").document } or {}

return { script("aside.lua").back, bind, { Pandoc = script("page.lua").behind } }
