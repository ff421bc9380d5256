-- Unwraps `.typed`, fills the blocks that the ledger writes, links each exhibit to its notebook
-- cell, and closes the page with the ledger.

local core = dofile(quarto and quarto.utils.resolve_path("core.lua")
  or pandoc.path.directory(PANDOC_SCRIPT_FILE) .. "/core.lua")
local draw, panel, page, bind = core.load("draw"), core.load("panel"), core.load("page"), core.load("bind")

local fills = {
  ["typed-exceptions"] = function() return draw.exceptions() end,
  ["ledger-colophon"] = function() return draw.colophon() end,
  ["deviations"] = function() return draw.deviations() end,
}

local fill = {  -- spans before blocks: all exceptions are known where they are listed
  Meta = draw.read_titles,
  Span = draw.said,
  Div = function(div)
    if fills[div.identifier] then
      div.content = bind.blocks(fills[div.identifier]())
      return div
    end
    if div.classes:includes("power-panel") then return panel.fill(div) end
    if div.identifier == "simulation-notice" and core.header().status ~= "simulated" then
      return {}
    end
  end,
}

-- Quarto's own node for a figure or table with a label. Its wrapper would keep an unresolved
-- `alt`, and DOCX and JATS would lose the picture's; Word takes a PNG, which needs no converter.
local function described(float)
  local exhibit = core.given(core.ledger().exhibits or {})[float.identifier]
  local alt = exhibit and core.given(exhibit.alt)
  if not alt then return end
  float.attributes.alt, float.attributes["fig-alt"] = nil, nil
  float.content = float.content:walk({
    Image = function(image)
      local path = "figures/" .. float.identifier
      if FORMAT == "docx" and core.exists(path .. ".png") then image.src = path .. ".png" end
      if core.html and core.own then page.drawn(image, core.root .. "/" .. path .. ".svg") end
      image.attributes["fig-alt"], image.attributes.alt = alt, nil
      image.caption = pandoc.Inlines(alt)
      return image
    end,
  })
end

local exhibits = {
  FloatRefTarget = function(float)
    described(float)
    local note, caption = draw.note(float.identifier), float.caption_long
    if #note > 0 and caption and caption.content then caption.content:extend(note) end
    return float
  end,
}

-- Quarto's node for a callout, in a page or a PDF; the embedded renderer has none.
local ours = quarto and core.own and (core.html or FORMAT == "typst" or FORMAT == "docx")
if ours then
  exhibits.Callout = function(callout)
    local title = callout.title and pandoc.utils.blocks_to_inlines(pandoc.Blocks(callout.title))
    title = title or pandoc.Inlines((callout.type:gsub("^%l", string.upper)))
    return page.callout(callout.type, title, pandoc.Blocks(callout.content))
  end
end

if not quarto then return { fill, { Pandoc = page.dress } } end

local tables = ours and { traverse = "topdown", Table = page.table } or {}
-- A block of Quarto's around an exhibit would swallow the space about it in a PDF.
local bare = {}
if FORMAT == "typst" then
  tables.Header = page.stated
  bare.Div = function(div)
    local name = div.classes[1] or ""
    if not (name:match("^cell") or name == "quarto-embed-nb-cell") then return nil end
    return div.classes:includes("hidden") and {} or div.content -- what a cell said aside stays hidden
  end
end

return { fill, exhibits, bare, tables, { Pandoc = page.dress } }
