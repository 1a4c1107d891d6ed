from pathlib import Path

from deploy_lab import lab_collection
from deploy_lib import collection

ns = collection(Path(__file__).parent)
ns.add_collection(lab_collection(Path(__file__).parent), "lab")
